// @ts-check
/** The few things about the document that every part of the page needs. */

/** @param {string} id @returns {HTMLElement} */
export function element(id) {
	const found = document.getElementById(id);
	if (!found) throw new Error(`index.html has no #${id}`);
	return found;
}

/** @param {string} id */
export function button(id) {
	return /** @type {HTMLButtonElement} */ (element(id));
}

/** @param {string} id */
export function input(id) {
	return /** @type {HTMLInputElement} */ (element(id));
}

/** @param {string} id */
export function select(id) {
	return /** @type {HTMLSelectElement} */ (element(id));
}

/** Writes only what is different: an equal write would still cost a layout. @param {Element} target @param {string} text */
export function setText(target, text) {
	if (target.textContent !== text) target.textContent = text;
}

/** Shows another symbol of index.html in a button. @param {Element} target @param {string} symbol */
export function setSymbol(target, symbol) {
	target.querySelector('use')?.setAttribute('href', `#${symbol}`);
}

/** @param {string} symbol @param {string} className */
export function icon(symbol, className) {
	const svg = document.createElementNS('http://www.w3.org/2000/svg', 'svg');
	svg.setAttribute('aria-hidden', 'true');
	svg.setAttribute('class', className);
	svg.append(document.createElementNS('http://www.w3.org/2000/svg', 'use'));
	setSymbol(svg, symbol);
	return svg;
}

// @ts-check
/** What the operator's page is made of: bars with marks, figures, tables, and numbers in words. */

import { setText } from './dom.js';

/**
 * @typedef {object} BarContent
 * @property {string} label
 * @property {number} value
 * @property {number} share    Of the bar's length, 0-1; more is cut.
 * @property {string} text
 * @property {number[]} marks  Shares of its length: where levels begin.
 * @property {string} [title]
 * @property {boolean} [isMarked]
 */

/** A label, a bar and a number. */
export class Bar {
	element = document.createElement('li');
	#label = part('span', 'label');
	#track = part('span', 'track');
	#fill = part('span', 'fill');
	#text = part('b', 'value');
	#marks = '';

	constructor() {
		this.element.className = 'bar-row';
		this.#track.append(this.#fill);
		this.element.append(this.#label, this.#track, this.#text);
	}

	/** @param {BarContent} content */
	show({ label, share, text, marks, title = '', isMarked = false }) {
		setText(this.#label, label);
		setText(this.#text, text);
		this.element.title = title;
		this.element.dataset.isMarked = String(isMarked);
		this.element.dataset.level = String(marks.filter((mark) => share >= mark).length);
		this.#fill.style.setProperty('--share', Math.min(1, share).toFixed(4));
		if (this.#marks === marks.join()) return;
		this.#marks = marks.join();
		this.#track.replaceChildren(this.#fill, ...marks.map((mark) => {
			const line = part('i', 'mark');
			line.style.setProperty('--at', String(mark));
			return line;
		}));
	}
}

/** @typedef {{ label: string, text: string, isBad?: boolean }} FigureContent */

/** A name and a number. */
export function figure() {
	const element = document.createElement('div');
	const [label, text] = [part('dt', ''), part('dd', '')];
	element.append(label, text);
	return {
		element,
		/** @param {FigureContent} content */
		show(content) {
			setText(label, content.label);
			setText(text, content.text);
			element.dataset.isBad = String(content.isBad ?? false);
		},
	};
}

/**
 * Items by their keys, in the order of the last list; those that stay are written, not made anew.
 * @template T
 */
export class Rows {
	#home;
	#make;
	/** @type {Map<string, { element: HTMLElement, show: (content: T) => void }>} */ #items = new Map();

	/** @param {HTMLElement} home @param {() => { element: HTMLElement, show: (content: T) => void }} make */
	constructor(home, make) {
		this.#home = home;
		this.#make = make;
	}

	/** @param {[string, T][]} contents */
	show(contents) {
		const keys = contents.map(([key]) => key);
		const isSame = keys.join('\n') === [...this.#items.keys()].join('\n');
		const items = new Map(keys.map((key) => [key, this.#items.get(key) ?? this.#make()]));
		for (const [key, content] of contents) items.get(key)?.show(content);
		this.#items = items;
		if (!isSame) this.#home.replaceChildren(...Array.from(items.values(), ({ element }) => element));
	}
}

/** @typedef {string|{ share: number|null, level: number }} Cell  A text, or a bar in the colour of a level. */

export class Table {
	#body = document.createElement('tbody');

	/** @param {HTMLElement} table @param {string[]} heads @param {string} caption */
	constructor(table, heads, caption) {
		const row = document.createElement('tr');
		row.append(...heads.map((head) => {
			const cell = part('th', '');
			cell.setAttribute('scope', 'col');
			cell.textContent = head;
			return cell;
		}));
		const head = document.createElement('thead');
		head.append(row);
		const words = part('caption', '');
		words.textContent = caption;
		if (caption) table.append(words);
		table.append(head, this.#body);
	}

	/** @param {Cell[][]} rows */
	show(rows) {
		while (this.#body.children.length > rows.length) this.#body.lastElementChild?.remove();
		while (this.#body.children.length < rows.length) this.#body.append(document.createElement('tr'));
		rows.forEach((cells, i) => {
			const row = this.#body.children[i];
			while (row.children.length < cells.length) row.append(document.createElement('td'));
			cells.forEach((cell, at) => writeCell(/** @type {HTMLElement} */ (row.children[at]), cell));
		});
	}
}

/** @param {HTMLElement} element @param {Cell} cell */
function writeCell(element, cell) {
	if (typeof cell === 'string') return setText(element, cell);
	if (cell.share === null) return setText(element, '–');
	if (!element.querySelector('.track')) {
		const track = part('span', 'track');
		track.append(part('span', 'fill'));
		element.replaceChildren(track, part('b', 'value'));
		element.className = 'has-bar';
	}
	element.dataset.level = String(cell.level);
	/** @type {HTMLElement} */ (element.querySelector('.fill')).style.setProperty('--share', Math.min(1, cell.share).toFixed(4));
	setText(/** @type {Element} */ (element.querySelector('.value')), percent(cell.share));
}

/** @param {string} tag @param {string} className */
function part(tag, className) {
	const element = document.createElement(tag);
	element.className = className;
	return element;
}

/* ---- numbers ---- */

const WHOLE = new Intl.NumberFormat('en');
const SHORT = new Intl.NumberFormat('en', { notation: 'compact', maximumFractionDigits: 1 });

/** @param {number|null} value */
export function count(value) {
	return value === null ? '–' : WHOLE.format(Math.round(value));
}

/** @param {number|null} share */
export function percent(share) {
	return share === null ? '–' : `${(share * 100).toFixed(share > 0 && share < 0.0995 ? 1 : 0)} %`;
}

/** @param {number|null} rate */
export function perSecond(rate) {
	return rate === null ? '–' : `${rate > 0 && rate < 10 ? rate.toFixed(1) : SHORT.format(rate)}/s`;
}

/** @param {number|null} size */
export function bytes(size) {
	if (size === null) return '–';
	const units = ['B', 'KB', 'MB', 'GB', 'TB'];
	const power = Math.min(units.length - 1, size < 1 ? 0 : Math.floor(Math.log(size) / Math.log(1024)));
	const value = size / 1024 ** power;
	return `${value.toFixed(power > 0 && value < 10 ? 1 : 0)} ${units[power]}`;
}

/** @param {number} time in seconds */
export function seconds(time) {
	if (time < 100) return `${Math.max(0, Math.round(time))} s`;
	if (time < 6000) return `${Math.round(time / 60)} min`;
	return time < 48 * 3600 ? `${Math.floor(time / 3600)} h ${Math.floor(time / 60) % 60} min` : `${Math.floor(time / 86400)} days`;
}

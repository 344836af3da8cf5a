/* What eyes would notice in a page, measured. */
import assert from 'node:assert/strict';
import { screenshot } from './artifacts.js';

const SIZES = { phone: { width: 320, height: 568 }, desk: { width: 1000, height: 700 } };

/**
 * Run by `page.evaluate`, with nothing of this module in reach, as the others here.
 * What is wider than the window, or out of it, or too large for its button: a list of words, empty when all fits.
 * With `mustShow` (selectors), these must lie wholly inside the window.
 */
export function misfits(mustShow = []) {
	const found = [];
	const isShown = (element) =>
		element.checkVisibility({ checkVisibilityCSS: true }) && element.getClientRects().length > 0;
	const nameOf = ({ tagName, id, innerText }) => `${tagName.toLowerCase()}#${id} "${innerText.trim().slice(0, 20)}"`;
	const [width, height] = [document.documentElement.clientWidth, innerHeight];
	if (document.documentElement.scrollWidth > width)
		found.push(`the page is ${document.documentElement.scrollWidth} wide`);
	for (const element of document.querySelectorAll('button, input, select, summary, .tile, #banner, h1, p, dd')) {
		const { left, right } = element.getBoundingClientRect();
		if (isShown(element) && !element.classList.contains('unseen') && (left < 0 || right > width))
			found.push(`${nameOf(element)} reaches from ${left} to ${right}`);
	}
	for (const figure of document.querySelectorAll('dd')) {
		if (isShown(figure) && figure.scrollWidth > figure.clientWidth)
			found.push(`${nameOf(figure)} is cut`);
	}
	for (const part of document.querySelectorAll('button > *, .choice span')) {
		const [inner, outer] = [part.getBoundingClientRect(), part.parentElement.getBoundingClientRect()];
		const isInside = inner.left >= outer.left + 1 && inner.right <= outer.right - 1 && inner.top >= outer.top
			&& inner.bottom <= outer.bottom;
		if (isShown(part) && !isInside)
			found.push(`${nameOf(part.parentElement)} is smaller than what is in it`);
	}
	for (const selector of mustShow) {
		const { left, top, right, bottom } = document.querySelector(selector).getBoundingClientRect();
		if (left < 0 || top < 0 || right > width || bottom > height)
			found.push(`${selector} is at ${[left, top, right, bottom]} of ${width} x ${height}`);
	}
	return found;
}

/** Texts with too little contrast to what is behind them (WCAG 2.1, 1.4.3): a list of words, empty when there is none. */
export function faintTexts() {
	const canvas = new OffscreenCanvas(1, 1).getContext('2d', { willReadFrequently: true });
	/* What a stack of colours, the lowest first, looks like; the canvas knows every notation. */
	const mix = (colours) => {
		for (const colour of ['#fff', ...colours]) {
			canvas.fillStyle = colour;
			canvas.fillRect(0, 0, 1, 1);
		}
		return [...canvas.getImageData(0, 0, 1, 1).data];
	};
	const linear = (byte) => (byte <= 10 ? byte / 255 / 12.92 : ((byte / 255 + 0.055) / 1.055) ** 2.4);
	const luminance = (rgb) => {
		const [r, g, b] = rgb.map(linear);
		return 0.2126 * r + 0.7152 * g + 0.0722 * b;
	};
	const behind = (element) =>
		element ? [...behind(element.parentElement), getComputedStyle(element).backgroundColor] : [];
	const ownText = ({ childNodes }) =>
		[...childNodes].filter(({ nodeType }) => nodeType === Node.TEXT_NODE).map(({ data }) => data.trim()).join('');

	const found = [];
	for (const element of document.body.querySelectorAll('*')) {
		const text = element.matches('input, select') ? element.value : ownText(element);
		const isDisabled = element.closest(':disabled, noscript, option, .unseen, svg') !== null;
		if (!text || isDisabled || !element.checkVisibility({ checkVisibilityCSS: true, checkOpacity: true }))
			continue;
		const { color, fontSize, fontWeight } = getComputedStyle(element);
		const ground = behind(element);
		const [low, high] = [mix(ground), mix([...ground, color])].map(luminance).sort((a, b) => a - b);
		const ratio = (high + 0.05) / (low + 0.05);
		const isLarge = parseFloat(fontSize) >= 24 || (parseFloat(fontSize) >= 18.66 && Number(fontWeight) >= 700);
		if (ratio < (isLarge ? 3 : 4.5))
			found.push(`"${text.slice(0, 20)}" (${element.className || element.id}) has ${ratio.toFixed(2)}`);
	}
	return found;
}

/** What has the keyboard's focus, and whether one sees it: { id, isVisible }. */
export function focus() {
	const element = document.activeElement;
	const { outlineStyle, outlineWidth } = getComputedStyle(element);
	const hasOutline = outlineStyle !== 'none' && parseFloat(outlineWidth) >= 2;
	return { id: element.id, isVisible: hasOutline && element.matches(':focus-visible') };
}

/** Nothing is out of place or faint, on a phone and a desk (or `sizes`), by day and night; `shot`: of each picture. */
export async function inAllLooks(page, name, { mustShow, sizes = SIZES, ...shot } = {}) {
	for (const [size, viewport] of Object.entries(sizes)) {
		await page.page.setViewport(viewport);
		for (const value of ['light', 'dark']) {
			await page.page.emulateMediaFeatures([
				{ name: 'prefers-color-scheme', value }, { name: 'prefers-reduced-motion', value: 'reduce' },
			]);
			await page.page.evaluate(() => new Promise(requestAnimationFrame));
			await screenshot(page.page, `${name}-${size}-${value}`, shot);
			assert.deepEqual(await page.page.evaluate(misfits, mustShow), [], `${name} on a ${size}`);
			assert.deepEqual(await page.page.evaluate(faintTexts), [], `${name} in ${value}`);
		}
	}
	await page.page.emulateMediaFeatures([]);
}

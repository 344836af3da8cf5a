// @ts-check
/** What is said to people: one banner at the top, and quiet announcements for screen readers. */

import { button, element, setText } from './dom.js';

/** The most important first: only one is shown. */
const ORDER = /** @type {const} */ (['ended', 'connection', 'blocked', 'microphone', 'hint']);

/** @typedef {typeof ORDER[number]} Topic */
/** @typedef {{ text: string, action?: string, run?: () => void }} Notice */

/** @type {Map<Topic, Notice>} */
const notices = new Map();
/** @type {string[]} */
let news = [];

/** Shows a notice until it is taken back with null. @param {Topic} topic @param {Notice|null} notice */
export function notify(topic, notice) {
	if (notice) notices.set(topic, notice);
	else notices.delete(topic);
	const topmost = ORDER.find((each) => notices.has(each));
	const shown = topmost && notices.get(topmost);
	const banner = element('banner');
	banner.hidden = !shown;
	if (!topmost || !shown) return;
	banner.dataset.topic = topmost;
	setText(element('banner-text'), shown.text);
	const action = button('banner-action');
	const isClosable = topmost !== 'connection';
	action.hidden = !isClosable;
	action.textContent = shown.action ?? 'Close';
	action.onclick = () => {
		notify(topmost, null);
		shown.run?.();
	};
}

export function clearNotices() {
	for (const topic of ORDER) notify(topic, null);
}

/** Says something to those who listen to the page; what comes together is said together. @param {string} text */
export function announce(text) {
	news.push(text);
	if (news.length > 1) return;
	setTimeout(() => {
		const [first, ...rest] = news;
		element('announce').textContent = rest.length > 3 ? `${first}, and ${rest.length} more changes` : [first, ...rest].join(', ');
		news = [];
	}, 600);
}

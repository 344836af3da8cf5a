// @ts-check
/** The panel "Connection": numbers for whoever wonders why it sounds as it does, and the slots for the curious. */

import { button, element, select, setText } from './dom.js';

const SLOTS_EVERY_MS = 250;

/** @typedef {import('./plenum.js').Call} Call */
/** @typedef {import('./plenum.js').Stats} Stats */

/** @type {Record<string, string>} */
const STATES = { connecting: 'Connecting…', connected: 'Connected', reconnecting: 'Reconnecting…', closed: 'Closed' };

export class Panel {
	#call;
	#timer;

	/** @param {Call} call @param {import('./microphones.js').Microphones} microphones @param {(deviceId: string) => void} onmicrophone */
	constructor(call, microphones, onmicrophone) {
		this.#call = call;
		const choice = select('call-mic');
		microphones.onchange = () => microphones.list(choice);
		microphones.onchange();
		choice.onchange = () => onmicrophone(choice.value);
		button('panel-toggle').onclick = () => this.toggle(element('panel').hidden !== false);
		button('panel-close').onclick = () => this.toggle(false);
		call.on('stats', (stats) => this.#showStats(stats));
		call.on('state', () => this.#showState());
		this.#showState();
		this.#timer = setInterval(() => this.#showSlots(), SLOTS_EVERY_MS);
	}

	close() {
		clearInterval(this.#timer);
		this.toggle(false);
	}

	/** @param {boolean} isOpen */
	toggle(isOpen) {
		const panel = element('panel');
		if (panel.hidden === !isOpen) return;
		panel.hidden = !isOpen;
		button('panel-toggle').setAttribute('aria-expanded', String(isOpen));
		if (isOpen) button('panel-close').focus({ preventScroll: true });
		else button('panel-toggle').focus({ preventScroll: true });
	}

	#showState() {
		write('state', STATES[this.#call.state]);
		document.querySelector('[data-stat=state]')?.setAttribute('data-state', this.#call.state);
		write('pressure', this.#call.pressure.name);
	}

	/** @param {Stats} stats */
	#showStats(stats) {
		write('rtt', inMs(stats.roundTripMs));
		write('jitter', inMs(stats.jitterMs));
		write('loss', inPercent(stats.lossIn));
		write('loss-out', inPercent(stats.lossOut));
		write('in', inKilobits(stats.bitrateIn));
		write('out', inKilobits(stats.bitrateOut));
		write('codec', stats.codec ?? '–');
		write('path', stats.path ? `${stats.path.local} → ${stats.path.remote}` : '–');
	}

	#showSlots() {
		if (element('panel').hidden || !(/** @type {HTMLDetailsElement} */ (element('slots')).open)) return;
		const list = element('slots-list');
		const heard = this.#call.heard();
		while (list.children.length < heard.length) list.append(slotRow());
		while (list.children.length > heard.length) list.lastElementChild?.remove();
		heard.forEach(({ slot, peer, level }, at) => {
			const row = /** @type {HTMLElement} */ (list.children[at]);
			const { mid, ssrc } = this.#call.slots[at];
			row.dataset.slot = String(slot);
			row.dataset.peer = peer?.id ?? '';
			row.style.setProperty('--level', Math.sqrt(level).toFixed(2));
			setText(row.children[0], peer?.name ?? 'silent');
			setText(row.children[1], `mid ${mid} · ssrc ${ssrc?.toString(16)}${peer ? ` · csrc ${peer.source.toString(16)}` : ''}`);
		});
	}
}

function slotRow() {
	const row = document.createElement('li');
	row.append(document.createElement('b'), document.createElement('small'));
	return row;
}

/** @param {string} stat @param {string} text */
function write(stat, text) {
	const cell = document.querySelector(`[data-stat="${stat}"]`);
	if (cell) setText(cell, text);
}

/** @param {number|null} ms */
function inMs(ms) {
	if (ms === null) return '–';
	return ms < 1 ? 'under 1 ms' : `${Math.round(ms)} ms`;
}

/** @param {number|null} share */
function inPercent(share) {
	return share === null ? '–' : `${(share * 100).toFixed(share > 0 && share < 0.1 ? 1 : 0)} %`;
}

/** @param {number} bits */
function inKilobits(bits) {
	return `${(bits / 1000).toFixed(bits > 0 && bits < 10000 ? 1 : 0)} kbit/s`;
}

// @ts-check
/** The panel "Connection": numbers for whoever wonders why it sounds as it does, how it is heard, and the slots for the curious. */

import { announce, notify } from './notices.js';
import { button, element, select, setText } from './dom.js';
import { CAUSES, LEVELS, takenAway } from './pressure.js';
import { remember } from './remember.js';
import { AUDIO_MODES, inWords, sentenceFor, sentenceForAudio } from './words.js';

const HEARD_EVERY_MS = 250;

/** @typedef {import('./plenum.js').Call} Call */
/** @typedef {import('./plenum.js').Stats} Stats */

/** @typedef {import('./plenum.js').AudioMode} AudioMode */

/** @type {Record<AudioMode, string>} */
const LABELS = { forward: 'forwarded', mixed: 'mixed', auto: 'auto' };

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
		call.on('degraded', () => this.#showPressure());
		this.#showPressure();
		for (const radio of radios()) radio.onchange = () => this.#choose(/** @type {AudioMode} */ (radio.value));
		call.on('audio', () => this.#showAudio());
		this.#showAudio();
		this.#timer = setInterval(() => this.#showHeard(), HEARD_EVERY_MS);
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
	}

	/** All that is taken away, also what nobody notices. */
	#showPressure() {
		const { pressure } = this.#call;
		const { level, name, cause } = pressure;
		write('pressure', name);
		const taken = takenAway(pressure);
		element('taken').hidden = taken.length === 0;
		setText(element('taken-title'), LEVELS[level]?.sentence ?? name);
		setText(element('taken-cause'), cause ? `Because ${CAUSES[cause] ?? cause}. What is taken away until it has room again:`
			: 'What is taken away until it has room again:');
		element('taken-list').replaceChildren(...taken.map((text) => {
			const item = document.createElement('li');
			item.textContent = text;
			return item;
		}));
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

	/** @param {AudioMode} mode */
	async #choose(mode) {
		try {
			await this.#call.setMode(mode);
			remember('audio', mode);
			announce(`Voices: ${LABELS[mode]}`);
		} catch (error) {
			notify('hint', { text: sentenceFor(error) });
		}
		this.#showAudio();
	}

	/** The switch stands where the server's answer put it. */
	#showAudio() {
		const { audio } = this.#call;
		const canMix = audio.modes.includes('mixed');
		for (const radio of radios()) {
			radio.checked = radio.value === (canMix ? audio.mode : 'forward');
			radio.disabled = !canMix;
		}
		setText(element('audio-hint'), sentenceForAudio(audio));
	}

	#showHeard() {
		if (element('panel').hidden) return;
		const heard = this.#call.heard();
		const names = heard.flatMap(({ peers }) => peers.map(nameOf));
		const isMixed = heard.some(({ mix }) => mix);
		const heardNow = names.length > 0 ? `You hear ${inWords(names)}` : 'Nobody talks now';
		setText(element('audio-heard'), `${heardNow}${isMixed ? names.length > 0 ? ', mixed.' : '; voices are mixed.' : '.'}`);
		if (/** @type {HTMLDetailsElement} */ (element('slots')).open) this.#showSlots(heard);
	}

	/** @param {ReturnType<Call['heard']>} heard */
	#showSlots(heard) {
		const list = element('slots-list');
		while (list.children.length < heard.length) list.append(slotRow());
		while (list.children.length > heard.length) list.lastElementChild?.remove();
		heard.forEach(({ slot, peers, level, mix }, at) => {
			const row = /** @type {HTMLElement} */ (list.children[at]);
			const { mid, ssrc } = this.#call.slots[at];
			row.dataset.slot = String(slot);
			row.dataset.peer = peers.map(({ id }) => id).join(' ');
			row.style.setProperty('--level', Math.sqrt(level).toFixed(2));
			setText(row.children[0], `${mix ? 'Mix: ' : ''}${peers.length > 0 ? inWords(peers.map(nameOf)) : 'silent'}`);
			const csrcs = peers.map(({ source }) => source.toString(16)).join(', ');
			setText(row.children[1], `mid ${mid} · ssrc ${ssrc?.toString(16)}${csrcs ? ` · csrc ${csrcs}` : ''}${mix ? ` · ${mix}` : ''}`);
		});
	}
}

function slotRow() {
	const row = document.createElement('li');
	row.append(document.createElement('b'), document.createElement('small'));
	return row;
}

/** @returns {HTMLInputElement[]} */
function radios() {
	return AUDIO_MODES.map((mode) => /** @type {HTMLInputElement} */ (document.querySelector(`#audio input[value=${mode}]`)));
}

/** @param {import('./plenum.js').Peer} peer */
function nameOf(peer) {
	return peer.name || 'Guest';
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

/** @param {number|null} bits */
function inKilobits(bits) {
	if (bits === null) return '–';
	return `${(bits / 1000).toFixed(bits > 0 && bits < 10000 ? 1 : 0)} kbit/s`;
}

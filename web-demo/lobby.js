// @ts-check
/** The lobby: who you are, which room, which microphone. */

import { button, element, input, select, setText } from './dom.js';
import { recall, remember } from './remember.js';
import { cleaned, complaintAbout, inSeconds, inventRoom, sentenceFor, sentenceForRefusal } from './words.js';

/** @typedef {{ name: string, room: string, isListener: boolean }} Choice */

const METER_EVERY_MS = 60;
const WAIT_EVERY_MS = 200;
const FIELDS = /** @type {const} */ (['name', 'room']);

export class Lobby {
	#microphones;
	#onjoin;
	#oncancel;
	#timer = 0;
	#isJoining = false;
	#waitTimer = 0;

	/**
	 * @param {import('./microphones.js').Microphones} microphones
	 * @param {(choice: Choice) => void} onjoin
	 * @param {() => void} oncancel
	 */
	constructor(microphones, onjoin, oncancel) {
		this.#microphones = microphones;
		this.#onjoin = onjoin;
		this.#oncancel = oncancel;
		input('name').value = recall('name');
		this.#readRoom();
		showComplaint('name');
		for (const id of FIELDS) input(id).addEventListener('input', () => showComplaint(id));
		addEventListener('hashchange', () => this.#readRoom());
		element('lobby-form').addEventListener('submit', (event) => {
			event.preventDefault();
			if (this.#isJoining) this.#oncancel();
			else this.#join(false);
		});
		button('listen-only').addEventListener('click', () => this.#join(true));
		select('mic').addEventListener('change', () => this.#try(this.#microphones.choose(select('mic').value)));
		microphones.onallowed = () => !element('lobby').hidden && this.#try(microphones.open());
	}

	/** A room in the address (/#kitchen or /?room=kitchen) is an invitation; without one, a new room is proposed. */
	#readRoom() {
		const invited = roomOfAddress();
		if (invited || !input('room').value) input('room').value = invited || inventRoom();
		showComplaint('room');
	}

	show() {
		element('lobby').hidden = false;
		this.setJoining(false);
		document.title = 'Plenum';
		input(input('name').value ? 'join' : 'name').focus();
		this.#microphones.onchange = () => this.#microphones.list(select('mic'));
		this.#microphones.onchange();
		this.#try(this.#microphones.open());
		this.#timer = setInterval(() => this.#showLevel(), METER_EVERY_MS);
	}

	hide() {
		element('lobby').hidden = true;
		this.setJoining(false);
		clearInterval(this.#timer);
	}

	/** @param {Promise<unknown>} opening */
	async #try(opening) {
		try {
			await opening;
			this.hint('');
		} catch (error) {
			this.hint(sentenceFor(error));
		}
	}

	/** Joining failed for want of a microphone: the way that remains is offered. @param {unknown} error */
	offerListening(error) {
		this.hint(sentenceFor(error));
		button('listen-only').focus();
	}

	/** A sentence under the microphone. @param {string} text */
	hint(text) {
		setText(element('mic-hint'), text);
		element('lobby').classList.toggle('no-mic', text !== '');
	}

	#showLevel() {
		const level = Math.round(this.#microphones.level() * 100);
		const meter = element('meter');
		if (meter.dataset.level === String(level)) return;
		meter.dataset.level = String(level);
		meter.setAttribute('aria-valuenow', String(level));
		meter.style.setProperty('--level', String(level / 100));
	}

	/** @param {boolean} isListener */
	#join(isListener) {
		const wrong = FIELDS.filter(showComplaint);
		if (wrong.length > 0) return input(wrong[0]).focus();
		const [name, room] = FIELDS.map((id) => cleaned(input(id).value));
		remember('name', name);
		this.#onjoin({ name: name || 'Guest', room, isListener });
	}

	/** There is no place yet: says what is waited for, and when the server is asked again. @param {import('./plenum.js').RefusedError} refusal */
	wait(refusal) {
		clearInterval(this.#waitTimer);
		setText(element('waiting-why'), sentenceForRefusal(refusal));
		setText(element('waiting-what'), 'You will join by yourself as soon as there is a place.');
		setText(button('join'), 'Stop waiting');
		element('waiting').hidden = false;
		document.title = 'Waiting for a place · Plenum';
		const endMs = performance.now() + refusal.retryAfterMs;
		const show = () => {
			const leftMs = Math.max(0, endMs - performance.now());
			element('waiting').style.setProperty('--left', (leftMs / refusal.retryAfterMs).toFixed(3));
			setText(element('waiting-when'), leftMs > 0 ? `Asking again ${inSeconds(leftMs)}` : 'Asking…');
		};
		this.#waitTimer = setInterval(show, WAIT_EVERY_MS);
		show();
	}

	#endWait() {
		clearInterval(this.#waitTimer);
		element('waiting').hidden = true;
		document.title = 'Plenum';
	}

	/** While joining, the button takes it back. @param {boolean} isJoining */
	setJoining(isJoining) {
		this.#isJoining = isJoining;
		setText(button('join'), isJoining ? 'Joining… (cancel)' : 'Join');
		button('join').classList.toggle('busy', isJoining);
		button('listen-only').disabled = isJoining;
		this.#endWait();
		input('name').readOnly = input('room').readOnly = isJoining;
	}
}

/** Says at the field what is wrong with it; returns true if something is. @param {typeof FIELDS[number]} id */
function showComplaint(id) {
	const complaint = complaintAbout(id, input(id).value);
	setText(element(`${id}-hint`), complaint);
	input(id).setAttribute('aria-invalid', String(complaint !== ''));
	return complaint !== '';
}

function roomOfAddress() {
	const hash = location.hash.slice(1);
	try {
		return decodeURIComponent(hash) || new URLSearchParams(location.search).get('room') || '';
	} catch {
		return hash;
	}
}

// @ts-check
/** The page during a call: wires what the call tells to the tiles, the panel, the banner and the keys. */

import { announce, clearNotices, notify } from './notices.js';
import { button, element, setSymbol, setText } from './dom.js';
import { Panel } from './panel.js';
import { People } from './people.js';
import { Strips } from './strips.js';
import { sentenceFor, sentenceForRefusal } from './words.js';

const LEVELS_EVERY_MS = 80;
const SPEAKS_ABOVE = 0.3;       // of the meter: -42 dB
const HEARD_ABOVE = 0.008;      // the same -42 dB, as an amplitude
const SPEAKS_FOR_MS = 400;      // pauses between words do not put the light out
const HINT_ABOVE = 0.5;         // -30 dB: that is speech, not the room
const HINT_EVERY_MS = 20000;
const HINT_FOR_MS = 5000;
const GREETING_FOR_MS = 12000;
const HINT_AFTER_MS = 2000;     // the end of the last word is no mistake

/** @typedef {import('./plenum.js').Call} Call */

export class Stage {
	#call;
	#room;
	#microphones;
	#people;
	#panel;
	#strips;
	#timer;
	#spokeAt = -Infinity;
	#hintedAt = -Infinity;
	#hintTimer = 0;
	#isPushing = false;
	/** The server's last word, while there is no connection. */ #goodbye = '';
	/** The server tells who speaks. */ #isTold = true;
	/** Sound comes, as far as the call knows. */ #isHeard;
	#end = new AbortController();

	/** @param {Call} call @param {string} room @param {import('./microphones.js').Microphones} microphones */
	constructor(call, room, microphones) {
		this.#call = call;
		this.#room = room;
		this.#microphones = microphones;
		this.#isHeard = call.state === 'connected';
		this.#people = new People(call);
		this.#panel = new Panel(call, microphones, (deviceId) => this.#changeMicrophone(deviceId));
		this.#strips = new Strips(call);
		this.#timer = setInterval(() => this.#showLevels(), LEVELS_EVERY_MS);
		element('call').hidden = false;
		setText(element('call-room'), room);
		document.title = `${room} · Plenum`;
		this.#listen();
		this.#wire();
		this.#showMute();
		this.#showState();
		this.#showMix();
		if (call.blocked) this.#showBlocked();
		button('mute').focus({ preventScroll: true });
		announce(`You are in ${room}`);
	}

	close() {
		this.#end.abort();
		clearInterval(this.#timer);
		this.#strips.close();
		this.#panel.close();
		clearNotices();
		element('call').hidden = true;
	}

	#listen() {
		const call = this.#call;
		call.on('peer', ({ op, peer }) => {
			this.#people.touch(peer.id);
			if (op === 'join') announce(`${peer.name || 'Someone'} joined`);
			if (op === 'leave') announce(`${peer.name || 'Someone'} left`);
		});
		call.on('track', ({ peer }) => this.#people.touch(peer.id));
		call.on('speakers', ({ top }) => top.forEach((id) => this.#people.touch(id)));
		call.on('state', ({ signaling, media }) => {
			this.#isTold = signaling;
			this.#isHeard = media;
			this.#showState();
		});
		call.on('refused', (refusal) => notify('connection', {
			text: `The call is interrupted. ${sentenceForRefusal(refusal)} You will be back as soon as there is a place…` }));
		call.on('bye', ({ code }) => { this.#goodbye = code; });
		call.on('slots', () => this.#showMix());
		call.on('blocked', () => this.#showBlocked());
		call.on('error', (error) => {
			notify('microphone', { text: sentenceFor(error) });
			this.#showMute();
		});
	}

	#wire() {
		const { signal } = this.#end;
		button('mute').addEventListener('click', () => this.#mute(!this.#isMuted()), { signal });
		button('leave').addEventListener('click', () => this.#call.leave(), { signal });
		button('share').addEventListener('click', () => this.#share(), { signal });
		addEventListener('keydown', (event) => this.#onKey(event), { signal });
		addEventListener('keyup', (event) => event.code === 'Space' && this.#push(false), { signal });
		addEventListener('blur', () => this.#push(false), { signal });
	}

	/** @param {KeyboardEvent} event */
	#onKey(event) {
		const target = /** @type {Element} */ (event.target);
		if (event.ctrlKey || event.metaKey || event.altKey || event.repeat || target.matches('input:not([type=radio]), select, textarea')) return;
		if (event.key === 'Escape') this.#panel.toggle(false);
		if (event.key.toLowerCase() === 'm') this.#mute(!this.#isMuted());
		// On a button, space is that button's own key.
		if (event.code !== 'Space' || target.matches('button, summary, a, input')) return;
		event.preventDefault();
		if (this.#isMuted()) this.#push(true);
	}

	/** Push to talk: the key held down unmutes. @param {boolean} isDown */
	#push(isDown) {
		if (isDown === this.#isPushing) return;
		this.#isPushing = isDown;
		this.#mute(!isDown);
	}

	#isMuted() {
		return this.#call.muted || !this.#call.microphone;
	}

	/** @param {boolean} on */
	async #mute(on) {
		try {
			// Who came to listen and now wants to talk has no microphone yet.
			if (!on && !this.#call.microphone) await this.#call.setMicrophone(await this.#microphones.open());
			this.#hintedAt = performance.now() + HINT_AFTER_MS - HINT_EVERY_MS;
			const done = this.#call.mute(on);
			this.#showMute();
			announce(on ? 'You are muted' : 'You can be heard');
			await done;
		} catch (error) {
			notify('microphone', { text: sentenceFor(error) });
			this.#showMute();
		}
	}

	#showMute() {
		const isMuted = this.#isMuted();
		const mute = button('mute');
		mute.setAttribute('aria-pressed', String(isMuted));
		setSymbol(mute, isMuted ? 'i-mic-off' : 'i-mic');
		setText(/** @type {Element} */ (mute.querySelector('span')), isMuted ? 'Unmute' : 'Mute');
		mute.title = isMuted ? 'Unmute (M), or hold the space bar to talk' : 'Mute (M)';
		if (!isMuted) notify('hint', null);
		if (this.#call.me) this.#people.touch(this.#call.me.id);
	}

	/** @param {string} deviceId */
	async #changeMicrophone(deviceId) {
		try {
			await this.#call.setMicrophone(await this.#microphones.choose(deviceId));
			notify('microphone', null);
		} catch (error) {
			notify('microphone', { text: sentenceFor(error) });
		}
		this.#showMute();
	}

	#showState() {
		const { state } = this.#call;
		element('call').dataset.state = state;
		if (state === 'connected') {
			this.#goodbye = '';
			notify('connection', null);
		} else if (state === 'reconnecting') {
			notify('connection', { text: this.#interruption() });
		}
		if (this.#call.me) this.#people.touch(this.#call.me.id);
	}

	/** A voice in the mix has no volume of its own. */
	#showMix() {
		element('call').dataset.mixed = String(this.#call.slots.some(({ mix }) => mix));
	}

	#interruption() {
		if (this.#goodbye === 'pressure')
			return 'The server is overloaded, and keeps its strength for those who talk. You will be back as soon as there is a place…';
		if (this.#goodbye === 'shutdown') return 'The server has ended. Reconnecting as soon as it is back…';
		if (this.#isHeard) return 'The connection to the server was interrupted; you still hear each other. Reconnecting…';
		return 'The call is interrupted. Reconnecting…';
	}

	#showBlocked() {
		notify('blocked', { text: 'The browser holds the sound back until you click.', action: 'Play sound', run: () => this.#call.unblock() });
	}

	#showLevels() {
		const call = this.#call;
		const people = this.#people;
		const me = call.me?.id ?? '';
		const own = this.#microphones.level();
		const now = performance.now();
		if (own > SPEAKS_ABOVE && !this.#isMuted()) this.#spokeAt = now;
		const speaking = new Set(this.#isTold && this.#isHeard ? call.speakers.top : []);
		if (this.#isHeard && now - this.#spokeAt < SPEAKS_FOR_MS && !this.#isMuted()) speaking.add(me);
		for (const { peers, level } of call.heard()) {
			for (const peer of peers) {
				people.setLevel(peer.id, Math.min(1, Math.sqrt(level) * 1.5));
				if (!this.#isTold && level > HEARD_ABOVE) speaking.add(peer.id); // then the packets themselves tell
			}
		}
		people.setLevel(me, own);
		people.setSpeaking(speaking);
		if (call.muted && own > HINT_ABOVE && now - this.#hintedAt > HINT_EVERY_MS) this.#hintMuted(now);
	}

	/** @param {number} now */
	#hintMuted(now) {
		this.#hintedAt = now;
		this.#hint({ text: 'You are muted.', action: 'Unmute', run: () => this.#mute(false) });
	}

	/** After a wait somebody may have turned away: they hear that they are in, and that they are heard. */
	greet() {
		const text = this.#isMuted() ? 'There was a place: you are in.' : 'There was a place: you are in, and can be heard.';
		this.#hint({ text, ...(!this.#isMuted() && { action: 'Mute', run: () => this.#mute(true) }) }, GREETING_FOR_MS);
		announce(text);
	}

	/** Something to know in passing. @param {import('./notices.js').Notice} notice @param {number} [ms] */
	#hint(notice, ms = HINT_FOR_MS) {
		notify('hint', notice);
		clearTimeout(this.#hintTimer);
		this.#hintTimer = setTimeout(() => notify('hint', null), ms);
	}

	async #share() {
		const url = new URL(`/#${encodeURIComponent(this.#room)}`, this.#call.server).href;
		try {
			if (matchMedia('(pointer: coarse)').matches && navigator.share) {
				await navigator.share({ title: `${this.#room} · Plenum`, url });
				return;
			}
			await navigator.clipboard.writeText(url);
			this.#say('Copied');
			if (isThisComputer())
				this.#hint({ text: `The link works on this computer only: it begins with ${location.hostname}.` });
		} catch (error) {
			if (error instanceof DOMException && error.name === 'AbortError') return;
			notify('hint', { text: `The link: ${url}` });
		}
	}

	/** @param {string} text */
	#say(text) {
		setText(element('share-text'), text);
		element('share').classList.add('said');
		announce(text);
		setTimeout(() => {
			setText(element('share-text'), 'Copy link');
			element('share').classList.remove('said');
		}, 2500);
	}
}

function isThisComputer() {
	return ['localhost', '127.0.0.1', '[::1]'].includes(location.hostname);
}

// @ts-check
/** The lines under the room's name: what the server has taken away for a while, and where it is going. */

import { element, setText } from './dom.js';
import { noticed, over } from './pressure.js';
import { inMinutes } from './words.js';

const BACK_FOR_MS = 8000;
const DEADLINE_EVERY_MS = 1000;

/** @typedef {import('./plenum.js').Call} Call */

export class Strips {
	#call;
	#pressure = new Strip('pressure');
	#journey = new Strip('journey');
	#deadlineTimer = 0;
	/** Something was said to be taken, and not yet that it is back. */ #owesWord = false;

	/** @param {Call} call */
	constructor(call) {
		this.#call = call;
		for (const event of /** @type {const} */ (['degraded', 'slots', 'audio'])) call.on(event, () => this.#showPressure());
		call.on('draining', ({ deadlineMs }) => this.#showDeadline(performance.now() + deadlineMs));
		call.on('move', (move) => this.#showMove(move));
		call.on('bye', () => this.#endJourney());
		this.#showPressure();
	}

	close() {
		this.#endJourney();
		this.#pressure.hide();
	}

	/** What the server took, as far as one notices it; and for a moment that this is back, and then that all is. */
	#showPressure() {
		const { pressure, slots, audio } = this.#call;
		const isMixed = slots.some(({ mix }) => mix);
		const text = noticed(pressure, { slots: slots.length, isMixed, isAuto: audio.mode === 'auto' });
		if (text) this.#pressure.show(text, pressure.level);
		else if (this.#pressure.level > 0 || (this.#owesWord && pressure.level === 0)) this.#pressure.show(over(pressure), 0, BACK_FOR_MS);
		this.#owesWord = text !== '' || (this.#owesWord && pressure.level > 0);
	}

	/** @param {number} endMs */
	#showDeadline(endMs) {
		const show = () => this.#journey.show(`The server ends ${inMinutes(endMs - performance.now())}. Until then the call goes on.`, 2);
		clearInterval(this.#deadlineTimer);
		this.#deadlineTimer = setInterval(show, DEADLINE_EVERY_MS);
		show();
	}

	/** @param {{ code: string, isDone: boolean }} move */
	#showMove({ code, isDone }) {
		this.#endJourney();
		const others = code === 'draining' ? ' The others follow.' : '';
		if (isDone) this.#journey.show(`The call has moved to ${new URL(this.#call.server).host}.${others}`, 0, BACK_FOR_MS);
		else this.#journey.show('The call moves to another server. There is nothing for you to do.', 1);
	}

	#endJourney() {
		clearInterval(this.#deadlineTimer);
		this.#journey.hide();
	}
}

class Strip {
	#strip;
	#timer = 0;
	/** Of what it shows: 0 is good news, or none. */ level = 0;

	/** @param {string} id */
	constructor(id) {
		this.#strip = element(id);
	}

	/** @param {string} text @param {number} level @param {number} [forMs] default: until it is hidden */
	show(text, level, forMs) {
		this.hide();
		this.level = level;
		this.#strip.hidden = false;
		this.#strip.dataset.level = String(level);
		setText(this.#strip, text);
		if (forMs) this.#timer = setTimeout(() => this.hide(), forMs);
	}

	hide() {
		clearTimeout(this.#timer);
		this.level = 0;
		this.#strip.hidden = true;
	}
}

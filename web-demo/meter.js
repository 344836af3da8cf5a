// @ts-check
/** How loud a microphone is, 0 to 1, on a scale that follows the ear (decibels). */

const FLOOR_DB = -60;

/** @type {AudioContext|null} One for the page: browsers allow only a few. */
let context = null;

function audioContext() {
	if (context) return context;
	context = new AudioContext();
	// Without a click, browsers keep it suspended, and the meter at zero.
	const resume = () => context?.resume();
	addEventListener('pointerdown', resume);
	addEventListener('keydown', resume);
	return context;
}

export class Meter {
	#source;
	#analyser;
	#samples;

	/** @param {MediaStreamTrack} track stays the caller's */
	constructor(track) {
		const audio = audioContext();
		this.#analyser = audio.createAnalyser();
		this.#analyser.fftSize = 1024;
		this.#samples = new Float32Array(this.#analyser.fftSize);
		this.#source = audio.createMediaStreamSource(new MediaStream([track]));
		this.#source.connect(this.#analyser);
	}

	/** @returns {number} 0 (silence) to 1 (full scale) */
	level() {
		this.#analyser.getFloatTimeDomainData(this.#samples);
		let sum = 0;
		for (const sample of this.#samples) sum += sample * sample;
		const db = 10 * Math.log10(sum / this.#samples.length + 1e-12);
		return Math.min(1, Math.max(0, 1 - db / FLOOR_DB));
	}

	stop() {
		this.#source.disconnect();
	}
}

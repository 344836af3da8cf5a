// @ts-check
/** What a server counts, as `/metrics` tells it (Prometheus' text format 0.0.4), and how it changes. */

/** @typedef {Record<string, string>} Labels */
/** @typedef {{ labels: Labels, value: number }} Sample */

const LINE = /^([a-zA-Z_:][\w:]*)(?:\{(.*)\})?\s+(\S+)/;
const LABEL = /([a-zA-Z_]\w*)="((?:[^"\\]|\\.)*)"/g;
/** @type {Record<string, string>} */
const ESCAPED = { '\\n': '\n', '\\"': '"', '\\\\': '\\' };

/** One look at the counters. */
export class Exposition {
	/** @type {Map<string, Sample[]>} */ #samples = new Map();

	/** @param {string} text @param {number} atMs of the clock that rates are counted by */
	constructor(text, atMs) {
		this.atMs = atMs;
		for (const line of text.split('\n')) {
			const [, name, labels, value] = (line.startsWith('#') ? null : LINE.exec(line)) ?? [];
			if (!name) continue;
			const samples = this.#samples.get(name) ?? [];
			samples.push({ labels: readLabels(labels ?? ''), value: readNumber(value) });
			this.#samples.set(name, samples);
		}
	}

	/** @param {string} name */
	has(name) {
		return this.#samples.has(name);
	}

	/** All that have these labels, and maybe more. @param {string} name @param {Labels} [labels] @returns {Sample[]} */
	all(name, labels = {}) {
		const wanted = Object.entries(labels);
		return (this.#samples.get(name) ?? []).filter((sample) => wanted.every(([key, value]) => sample.labels[key] === value));
	}

	/** Their sum; null when the server does not tell. @param {string} name @param {Labels} [labels] */
	value(name, labels) {
		const samples = this.all(name, labels);
		return samples.length > 0 ? samples.reduce((sum, { value }) => sum + value, 0) : null;
	}

	/** By the values of one label, in their order; what has them alike is added up. @param {string} name @param {string} label */
	by(name, label) {
		/** @type {Map<string, number>} */ const sums = new Map();
		for (const { labels, value } of this.all(name))
			if (label in labels) sums.set(labels[label], (sums.get(labels[label]) ?? 0) + value);
		return sums;
	}

	/** Of numbers that are one-hot: which it is. @param {string} name @param {string} label */
	which(name, label) {
		return this.all(name).find(({ value }) => value === 1)?.labels[label] ?? null;
	}
}

/** The looks of the last minute. */
export class History {
	#keptMs;
	/** @type {Exposition[]} the oldest first */ #looks = [];

	/** @param {number} keptMs */
	constructor(keptMs) {
		this.#keptMs = keptMs;
	}

	/** A server that was started again counts from the start. @param {Exposition} now */
	add(now) {
		const STARTED = 'process_start_time_seconds';
		if (this.now && this.now.value(STARTED) !== now.value(STARTED)) this.#looks = [];
		this.#looks.push(now);
		while (this.#looks[0].atMs < now.atMs - this.#keptMs) this.#looks.shift();
	}

	get now() {
		return this.#looks.at(-1);
	}

	/** The look that is the oldest within ms. @param {number} ms */
	#since(ms) {
		const { now } = this;
		return now && this.#looks.find(({ atMs }) => atMs >= now.atMs - ms);
	}

	/** How much a counter grew in the last ms; null: not known yet. @param {string} name @param {number} ms @param {Labels} [labels] */
	growth(name, ms, labels) {
		const { now } = this;
		const before = this.#since(ms);
		if (!now || !before || before === now) return null;
		const [high, low] = [now.value(name, labels), before.value(name, labels)];
		return high === null || low === null ? null : Math.max(0, high - low);
	}

	/**
	 * Of what a histogram took in the last ms: the bound that this share of it was not above, in the histogram's unit; null: nothing.
	 * @param {string} name @param {number} share @param {number} ms
	 */
	quantile(name, share, ms) {
		const { now } = this;
		const before = this.#since(ms);
		if (!now || !before || before === now) return null;
		const [high, low] = [now, before].map((look) => look.by(`${name}_bucket`, 'le'));
		const counts = Array.from(high, ([bound, count]) => ({ bound: readNumber(bound), count: count - (low.get(bound) ?? 0) }));
		const all = Math.max(0, ...counts.map(({ count }) => count));
		return all > 0 ? counts.find(({ count }) => count >= all * share)?.bound ?? null : null;
	}

	/** How much a counter grew in a second, of the last ms. @param {string} name @param {number} ms @param {Labels} [labels] */
	rate(name, ms, labels) {
		const growth = this.growth(name, ms, labels);
		const before = this.#since(ms);
		return growth === null || !this.now || !before ? null : growth * 1000 / (this.now.atMs - before.atMs);
	}
}

/** @param {string} text @returns {Labels} */
function readLabels(text) {
	return Object.fromEntries(Array.from(text.matchAll(LABEL), ([, key, value]) => [key, value.replace(/\\./g, (pair) => ESCAPED[pair] ?? pair)]));
}

/** @param {string} text */
function readNumber(text) {
	return text === '+Inf' ? Infinity : text === '-Inf' ? -Infinity : Number(text);
}

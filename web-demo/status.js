// @ts-check
/** The operator's page: one look each second at /metrics, and nothing else.  What a server does not tell is left out. */

import { element, setText } from './dom.js';
import { Exposition, History } from './exposition.js';
import { CAUSES, LADDER, LEVELS, shortly } from './pressure.js';
import { Bar, bytes, count, figure, perSecond, percent, Rows, seconds, Table } from './status_parts.js';

const LOOK_EVERY_MS = 1000;
const LOOK_MS_MAX = 5000;
const STALE_MS = 3500;
const RATE_MS = 5000;         // rates are over so long: shorter ones jump about
const MINUTE_MS = 60000;
const LINE_MS = 5 * MINUTE_MS;
const JOINS_END_AT = LADDER.findIndex(({ actions }) => /** @type {readonly string[]} */ (actions).includes('joins'));
const SCALE_MAX = 1.1;        // of the bars: a little more than all that there is

/** @type {Record<string, string>} inputs that not every server has, or every machine, by their words */
const INPUTS = {
	shard_busy: 'Media threads, busy', shard_late: 'Media threads, late', codec_late: 'Mixing, late', cpu: 'CPU of its share',
	steal: 'CPU taken by the host', throttled: 'CPU throttled', psi_cpu: 'Waiting for CPU', psi_memory: 'Waiting for memory',
	memory: 'Memory of its limit', untracked: 'Untracked memory', pool: 'Packet buffers', ring: 'Thread queues',
	receive_queue: 'Lost at the socket', files: 'Open files', canary: 'Canary',
};

/** @typedef {{ level: string, score: number }} Mark */

const history = new History(MINUTE_MS);
/** @type {{ atMs: number, score: number, level: number }[]} */ const scores = [];
let answeredMs = -Infinity;

/* ---- the verdict ---- */

/** @param {Exposition} now */
function showVerdict(now) {
	const level = now.value('plenum_pressure_level');
	const isEnding = now.value('plenum_ready') === 0 && (level ?? 0) < JOINS_END_AT;
	const name = level === null ? 'running' : LEVELS[level]?.name ?? String(level);
	document.body.dataset.level = level === null ? 'none' : String(level);
	setText(element('level'), name);
	document.title = `${isEnding ? 'ending' : name} · Plenum status`;
	const isForced = now.value('plenum_pressure_forced') === 1;
	setText(element('sentence'), isEnding ? 'It is ending: nobody new gets in.' : isForced ? 'An operator has set this level by hand.'
		: level === null ? 'It takes calls.' : LEVELS[level]?.sentence ?? '');
	setText(element('cause'), isForced ? `The load asks for “${LEVELS[levelOf(now, now.value('plenum_pressure_score'))].name}”.` : causeOf(now, level ?? 0));
	showLadder(level ?? 0);
}

/** @param {Exposition} now @param {number} level */
function causeOf(now, level) {
	const [largest] = [...now.by('plenum_pressure_input', 'input')].sort(([, a], [, b]) => b - a);
	if (level === 0) return largest ? `Most used: ${shortly(INPUTS[largest[0]] ?? largest[0])}.` : '';
	const cause = now.which('plenum_pressure_cause', 'cause') ?? 'none';
	const ends = now.value('plenum_pressure_recovery', { level: LEVELS[level]?.name ?? '' });
	if (ends !== null && (now.value('plenum_pressure_score') ?? 0) < ends)
		return `The need is over: the next step down comes when the score was below ${percent(ends)} for 5 seconds.`;
	return cause === 'none' ? '' : `Because ${CAUSES[cause] ?? cause}.`;
}

/** The level that begins at or below this score. @param {Exposition} now @param {number|null} value */
function levelOf(now, value) {
	return now.all('plenum_pressure_threshold').filter((threshold) => (value ?? 0) >= threshold.value).length;
}

/** @param {number} level */
function showLadder(level) {
	const ladder = element('ladder');
	if (ladder.children.length === 0) {
		ladder.append(...LADDER.slice(1).map(({ actions, audioSlots }, i) => {
			const rung = document.createElement('li');
			const name = document.createElement('b');
			name.textContent = LEVELS[i + 1].name;
			rung.append(name, ` ${actions.map((action) => RUNGS[action](audioSlots ?? 0)).join(' · ')}`);
			return rung;
		}));
	}
	[...ladder.children].forEach((rung, i) => rung.setAttribute('data-is-taken', String(i + 1 <= level)));
}

/** @type {Record<string, (slots: number) => string>} */
const RUNGS = {
	quality: () => 'mixes encoded with less effort', delay: () => 'packets gathered for longer',
	slots: (slots) => slots === 1 ? 'one voice at a time' : `${slots} voices at a time`, auto: () => '“auto” is what is cheaper',
	rooms: () => 'no new rooms', joins: () => 'nobody new', listeners: () => 'idle listeners are asked to go',
};

/** Of the levels, as shares of a bar. @param {Exposition} now @returns {number[]} */
function marksOf(now) {
	return now.all('plenum_pressure_threshold').map(({ value }) => value / SCALE_MAX);
}

const score = new Bar();
element('scale').append(score.element);

/** @param {Exposition} now */
function showScore(now) {
	const value = now.value('plenum_pressure_score');
	/** @type {HTMLElement} */ (document.querySelector('.score')).hidden = value === null;
	if (value === null) return;
	const marks = marksOf(now);
	score.show({ label: '', value, share: value / SCALE_MAX, text: percent(value), marks });
	setText(element('score-text'), `Score ${percent(value)}`);
	scores.push({ atMs: now.atMs, score: value, level: now.value('plenum_pressure_level') ?? 0 });
	while (scores[0].atMs < now.atMs - LINE_MS) scores.shift();
	showLine(now.atMs, marks);
}

/** @param {number} nowMs @param {number[]} marks */
function showLine(nowMs, marks) {
	const [WIDTH, HEIGHT] = [300, 60];
	const y = (/** @type {number} */ share) => (HEIGHT - 1 - Math.min(1, share) * (HEIGHT - 2)).toFixed(1);
	const x = (/** @type {number} */ atMs) => (WIDTH * (1 - (nowMs - atMs) / LINE_MS)).toFixed(1);
	const line = element('line');
	const points = scores.map(({ atMs, score: value }) => `${x(atMs)},${y(value / SCALE_MAX)}`);
	const [first, last] = [x(scores[0].atMs), x(nowMs)];
	line.replaceChildren(
		...marks.map((mark) => shape('path', { class: 'mark', d: `M0 ${y(mark)}H${WIDTH}` })),
		shape('polygon', { points: `${first},${HEIGHT} ${points.join(' ')} ${last},${HEIGHT}` }),
		shape('polyline', { points: points.join(' ') }));
}

/** @param {string} name @param {Record<string, string>} attributes */
function shape(name, attributes) {
	const made = document.createElementNS('http://www.w3.org/2000/svg', name);
	for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
	return made;
}

/* ---- the inputs ---- */

const inputs = new Rows(element('inputs'), () => new Bar());

/** @param {Exposition} now */
function showInputs(now) {
	const marks = marksOf(now);
	const values = now.by('plenum_pressure_input', 'input');
	const cause = now.value('plenum_pressure_level') === 0 ? null : now.which('plenum_pressure_cause', 'cause');
	hideBlock('inputs', values.size === 0);
	inputs.show([...values].map(([input, value]) => [input, {
		label: INPUTS[input] ?? input, value, share: value / SCALE_MAX, text: percent(value), marks,
		title: `${input}: ${CAUSES[input] ?? ''}`, isMarked: input === cause && value > 0,
	}]));
	const absent = Object.keys(INPUTS).filter((input) => !values.has(input)).map((input) => shortly(INPUTS[input]));
	setText(element('absent'), absent.length > 0 ? `Not told on this machine: ${absent.join(', ')}.` : '');
}

/** @param {string} id of what is in it @param {boolean} isHidden */
function hideBlock(id, isHidden) {
	/** @type {HTMLElement} */ (element(id).closest('.block')).hidden = isHidden;
}

/* ---- figures ---- */

const tiles = new Rows(element('now'), figure);

/** @param {Exposition} now */
function showNow(now) {
	const rate = (/** @type {string} */ name) => history.rate(name, RATE_MS);
	const bits = (/** @type {number|null} */ value) => value === null ? null : value * 8 / 1e6;
	const startedS = now.value('process_start_time_seconds');
	const basis = now.which('plenum_capacity_forecast_basis', 'basis');
	const refusedLately = history.growth('plenum_refusals_total', MINUTE_MS);
	/** @type {Record<string, import('./status_parts.js').FigureContent>} */
	const figures = {
		people: { label: 'People', text: count(now.value('plenum_sessions')) },
		rooms: { label: 'Rooms', text: count(now.value('plenum_rooms')) },
		connecting: { label: 'Connecting', text: count(now.value('plenum_sessions_connecting')) },
		joined: { label: 'Joined in 1 min', text: count(history.growth('plenum_joins_total', MINUTE_MS)) },
		refused: { label: 'Refused in 1 min', text: count(refusedLately), isBad: refusedLately !== null && refusedLately > 0 },
		in: { label: 'Packets in', text: perSecond(rate('plenum_datagrams_in_total')) },
		out: { label: 'Packets out', text: perSecond(rate('plenum_datagrams_out_total')) },
		transit: { label: 'Through it, p99', text: inMs(history.quantile('plenum_transit_seconds', 0.99, MINUTE_MS)) },
		joining: { label: 'Joining, p95', text: inMs(history.quantile('plenum_join_seconds', 0.95, MINUTE_MS)) },
		bits: { label: 'Sent', text: amount(bits(rate('plenum_bytes_out_total')), 'Mb/s') },
		cpu: { label: 'CPU', text: amount(rate('process_cpu_seconds_total'), 'cores', 2) },
		memory: { label: 'Memory', text: bytes(now.value('process_resident_memory_bytes')) },
		uptime: { label: 'Running for', text: startedS === null ? '–' : seconds(Date.now() / 1000 - startedS) },
		...(now.has('plenum_capacity_used_ratio') && {
			used: { label: 'Capacity used', text: percent(now.value('plenum_capacity_used_ratio')) },
			ahead: { label: 'In 15 minutes', text: basis === 'none' ? 'not yet' : percent(now.value('plenum_capacity_forecast_ratio')) },
		}),
	};
	tiles.show(Object.entries(figures));
}

/** Of a bound of a histogram. @param {number|null} boundS */
function inMs(boundS) {
	return boundS === null ? '–' : boundS === Infinity ? 'very long' : `${Number((boundS * 1000).toPrecision(2))} ms`;
}

/** @param {number|null} value @param {string} unit @param {number} [digits] */
function amount(value, unit, digits = 1) {
	return value === null ? '–' : `${value.toFixed(value < 100 ? digits : 0)} ${unit}`;
}

const shards = new Table(element('shards'), ['Thread', 'People', 'Rooms', 'Busy', 'Late', 'Queue', 'Buffers', 'In', 'Out', 'Lost'],
	'The busiest is the one that decides.');

/** @param {Exposition} now */
function showShards(now) {
	shards.show([...now.by('plenum_participants', 'shard').keys()].map((shard) => {
		const of = { shard };
		const lost = ['plenum_kernel_drops_total', 'plenum_send_full_total', 'plenum_send_failed_total']
			.reduce((sum, name) => sum + (history.rate(name, RATE_MS, of) ?? 0), 0);
		const buffers = now.value('plenum_load_pool_ratio', of)
			?? share(now.value('plenum_pool_packets_used', of), now.value('plenum_pool_packets', of));
		return [count(Number(shard)), count(now.value('plenum_participants', of)), count(now.value('plenum_media_rooms', of)),
			load(now, now.value('plenum_load_busy_ratio', of)), late(now, of), percent(now.value('plenum_load_ring_ratio', of)),
			percent(buffers), perSecond(history.rate('plenum_datagrams_in_total', RATE_MS, of)),
			perSecond(history.rate('plenum_datagrams_out_total', RATE_MS, of)), perSecond(lost)];
	}));
}

const workers = new Table(element('workers'), ['Worker', 'Rooms', 'Voices', 'Streams', 'Busy', 'Late', 'Step'],
	'Step: how hard encoders work, 0 the most, 4 the least.');

/** @param {Exposition} now */
function showWorkers(now) {
	const ids = [...now.by('plenum_codec_rooms', 'worker').keys()];
	element('workers').hidden = ids.length === 0;
	element('no-workers').hidden = ids.length > 0;
	workers.show(ids.map((worker) => {
		const of = { worker };
		return [count(Number(worker)), count(now.value('plenum_codec_rooms', of)), count(now.value('plenum_codec_voices', of)),
			count(now.value('plenum_codec_encoders', of)),
			load(now, now.value('plenum_load_busy_ratio', of) ?? share(now.value('plenum_codec_load_permille', of), 1000)),
			late(now, of), count(now.value('plenum_codec_load_step', of))];
	}));
}

/** @param {Exposition} now @param {number|null} value @returns {import('./status_parts.js').Cell} */
function load(now, value) {
	return { share: value, level: levelOf(now, value) };
}

/** @param {number|null} part @param {number|null} whole */
function share(part, whole) {
	return part === null || !whole ? null : part / whole;
}

/** @param {Exposition} now @param {import('./exposition.js').Labels} of */
function late(now, of) {
	const lateS = now.value('plenum_load_late_p99_seconds', of);
	return lateS === null ? '–' : `${(lateS * 1000).toFixed(lateS < 0.01 ? 1 : 0)} ms`;
}

const refused = new Rows(element('refused'), figure);

/** @param {Exposition} now */
function showRefused(now) {
	const reasons = [...now.by('plenum_refusals_total', 'reason')].filter(([, value]) => value > 0).sort(([, a], [, b]) => b - a);
	const all = now.value('plenum_refusals_total') ?? 0;
	refused.show(reasons.length > 0 ? reasons.map(([reason, value]) => [reason, { label: reason, text: count(value) }])
		: [['all', { label: all > 0 ? 'all reasons' : 'Nobody.', text: all > 0 ? count(all) : '' }]]);
}

const drops = new Rows(element('drops'), figure);

/** @param {Exposition} now */
function showDrops(now) {
	const rates = [...now.by('plenum_drops_total', 'reason').keys()]
		.map((reason) => /** @type {const} */ ([reason, history.rate('plenum_drops_total', RATE_MS, { reason }) ?? 0]))
		.filter(([, rate]) => rate > 0).sort(([, a], [, b]) => b - a).slice(0, 8);
	drops.show(rates.length > 0 ? rates.map(([reason, rate]) => [reason, { label: reason.replaceAll('_', ' '), text: perSecond(rate) }])
		: [['none', { label: 'None.', text: '' }]]);
}

const memory = new Rows(element('memory'), () => new Bar());

/** @param {Exposition} now */
function showMemory(now) {
	const parts = [...now.by('plenum_memory_bytes', 'subsystem')].filter(([, value]) => value > 0).sort(([, a], [, b]) => b - a);
	const resident = now.value('process_resident_memory_bytes') ?? 0;
	hideBlock('memory', parts.length === 0);
	const largest = Math.max(resident, ...parts.map(([, value]) => value));
	memory.show(parts.map(([part, value]) => [part, { label: part.replaceAll('_', ' '), value, share: value / largest, text: bytes(value), marks: [] }]));
}

/** @type {Record<string, string>} by its states */
const CANARY = {
	new: 'It has not sung yet.', hears: 'It hears itself well.', impaired: 'It hears itself badly, or cannot join.', deaf: 'It hears nothing of itself.',
	unable: 'It finds no sockets or memory to sing with.', stalled: 'It does not come to sing any more.', mistrusted: 'It never heard itself, and is not believed.',
};

const canary = new Table(element('canary'), ['Thread', 'Way', 'Heard', 'SNR', 'Delay'], '');

/** @param {Exposition} now */
function showCanary(now) {
	const state = now.which('plenum_canary_state', 'state');
	hideBlock('canary', state === null || state === 'off');
	setText(element('canary-state'), CANARY[state ?? ''] ?? state ?? '');
	element('canary-state').dataset.isBad = String(['impaired', 'deaf', 'unable', 'stalled'].includes(state ?? ''));
	canary.show(now.all('plenum_canary_heard_ratio').map(({ labels, value }) => {
		const [snr, delayS] = ['plenum_canary_snr_db', 'plenum_canary_delay_seconds'].map((name) => now.value(name, labels));
		return [labels.shard, labels.way, percent(value), snr === null ? '–' : `${snr.toFixed(0)} dB`,
			delayS === null ? '–' : `${(delayS * 1000).toFixed(delayS < 0.01 ? 1 : 0)} ms`];
	}));
}

/** @param {Exposition} now */
function showBuild(now) {
	const { version, opus } = now.all('plenum_build_info')[0]?.labels ?? {};
	setText(element('build'), `Plenum ${version ?? ''} · ${opus ?? ''}`);
}

/* ---- one look after the other ---- */

async function look() {
	const signal = AbortSignal.timeout(LOOK_MS_MAX);
	try {
		const response = await fetch('/metrics', { cache: 'no-store', signal });
		if (!response.ok) return;
		const now = new Exposition(await response.text(), performance.now());
		answeredMs = now.atMs;
		history.add(now);
		for (const show of [showVerdict, showScore, showNow, showInputs, showShards, showWorkers, showRefused, showCanary, showMemory, showDrops, showBuild])
			show(now);
	} catch (error) {
		if (!(error instanceof TypeError || error instanceof DOMException)) throw error; // the network's are told by showFresh
	}
}

/** That figures are old is said, not left to be noticed. */
function showFresh() {
	const ageMs = performance.now() - answeredMs;
	const isStale = ageMs > STALE_MS;
	document.body.dataset.fresh = String(!isStale);
	if (!isStale) setText(element('fresh'), 'Live');
	else if (answeredMs > 0) setText(element('fresh'), `No answer for ${seconds(ageMs / 1000)}`);
	else if (performance.now() > STALE_MS) setText(element('fresh'), 'The server does not answer.');
}

/** Nobody looks at a hidden page. */
async function goOn() {
	if (!document.hidden) await look();
	showFresh();
	setTimeout(goOn, LOOK_EVERY_MS);
}

setText(element('host'), location.host);
goOn();

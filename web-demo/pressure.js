// @ts-check
/** What it means to people that the server is pressed: words for its levels, their causes, and what is taken away. */

/** By level; the words of the protocol stay for programs. */
export const LEVELS = [
	{ name: 'nominal', sentence: 'The server has room.' },
	{ name: 'elevated', sentence: 'The server is busy.' },
	{ name: 'high', sentence: 'The server is very busy.' },
	{ name: 'critical', sentence: 'The server is at its limit.' },
	{ name: 'emergency', sentence: 'The server is past its limit.' },
];

/** @type {Record<string, string>} by the words of `cause`: what is wrong, after "because" */
export const CAUSES = {
	shard_busy: 'a media thread works nearly all the time',
	shard_late: 'packets wait before a media thread gets to them',
	codec_late: 'mixing falls behind its clock',
	cpu: 'the server has used up its processors',
	steal: 'the host takes processor time away from the server',
	throttled: 'the server’s share of processor time is used up',
	psi_cpu: 'programs wait for a processor',
	psi_memory: 'programs wait for memory',
	memory: 'the memory is nearly full',
	untracked: 'memory grows that nothing accounts for',
	pool: 'packet buffers run out',
	ring: 'threads cannot keep up with each other',
	receive_queue: 'packets arrive faster than they are read',
	files: 'nearly as many connections are open as may be',
	canary: 'the server’s own test call does not sound right',
};

/** What each level takes away that the one below does not: words of `actions`, and what `audioSlots` becomes. */
export const LADDER = /** @type {const} */ ([
	{ actions: [], audioSlots: null },
	{ actions: ['quality', 'delay'], audioSlots: null },
	{ actions: ['slots', 'auto', 'rooms'], audioSlots: 2 },
	{ actions: ['slots', 'joins'], audioSlots: 1 },
	{ actions: ['listeners'], audioSlots: 1 },
]);

/** @type {Record<string, string>} by the words of `actions` */
const ACTIONS = {
	quality: 'Mixed voices are encoded with less effort.',
	delay: 'Sound takes a few milliseconds longer.',
	auto: 'Who hears by “Auto” hears what is cheaper: mixed or forwarded.',
	rooms: 'No new rooms are opened.',
	joins: 'Nobody new gets in; who is here stays.',
	listeners: 'Those who only listen may be asked to go.',
};

const COUNTS = ['no voice', 'only the loudest voice', 'the two loudest voices', 'the three loudest voices'];

/** @param {number} count */
function voices(count) {
	return COUNTS[count] ?? `the ${count} loudest voices`;
}

/** @typedef {import('./plenum.js').Pressure} Pressure */

/** All that is taken away, a sentence each. @param {Pressure} pressure */
export function takenAway({ actions, audioSlots }) {
	const taken = actions.map((action) => action === 'slots'
		? `Each person hears ${voices(audioSlots ?? 0)} at a time.` : ACTIONS[action] ?? `“${action}”.`);
	return taken.length > 0 ? [...taken, 'What you say is sent as always.'] : [];
}

/**
 * What somebody in the call notices of it, in one sentence; '' when there is nothing that they would.
 * @param {Pressure} pressure
 * @param {{ slots: number, isMixed: boolean, isAuto: boolean }} listener
 */
export function noticed({ level, actions, audioSlots }, { slots, isMixed, isAuto }) {
	const losses = [];
	if (isMixed && isAuto && actions.includes('auto')) losses.push('all voices come mixed into one');
	else if (isMixed && actions.includes('quality')) losses.push('the mix is made with less effort');
	if (!isMixed && audioSlots !== null && audioSlots < slots) losses.push(`you hear ${voices(audioSlots)}`);
	if (actions.includes('joins')) losses.push('nobody new gets in');
	if (losses.length === 0) return '';
	return `${LEVELS[level]?.sentence ?? ''} For now ${losses.join(', and ')}.`;
}

/** When it is over for whoever noticed something: all of it, or what that person notices. @param {Pressure} pressure */
export function over({ level, actions }) {
	if (level === 0) return 'The server has room again: everything is back.';
	const rest = actions.includes('delay') ? ', and sound takes a few milliseconds longer' : '';
	return `You hear all that you did before. The server is still busy${rest}.`;
}

/** In the middle of a sentence. @param {string} label */
export function shortly(label) {
	return /^[A-Z][a-z]/.test(label) ? label[0].toLowerCase() + label.slice(1) : label;
}

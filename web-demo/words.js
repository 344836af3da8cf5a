// @ts-check
/** Everything the page says that depends on what happened: sentences for errors, names for rooms. */

import { MicrophoneError, PlenumError, RefusedError } from './plenum.js';

const NAME_BYTES_MAX = 128; // of a person's name and of a room's: docs/signaling.md

/** @type {Record<string, string>} */
const MICROPHONE = {
	denied: 'The browser keeps the microphone from this page. Allow it beside the address, or join to listen.',
	missing: 'No microphone was found. Plug one in, or join to listen.',
	busy: 'The microphone does not start; another program may be using it. Close that, or join to listen.',
	insecure: 'Browsers open the microphone only on HTTPS pages. Ask for the https:// address — or join to listen.',
	unsupported: 'This browser cannot open a microphone. You can join to listen.',
	lost: 'Your microphone is gone. Choose another one under Connection; until then you only listen.',
};

/** @type {Record<string, string>} */
const ENDED = {
	replaced: 'This call goes on in another tab or window.',
	media_lost: 'No sound came through: the network seems to block the server’s UDP port.',
	rate: 'The server ended the call because this page sent too much.',
	kicked: 'You were taken out of the room.',
	shutdown: 'The server has ended.',
};

const NOT_UNDERSTOOD = 'The server does not understand this page; it may be of another version. Reload the page.';

/** @type {Record<string, string>} */
const FAILED = {
	unreachable: 'The server cannot be reached. Is it running, and are you online?',
	disconnected: 'The connection was lost while joining. Try again.',
	timeout: 'The server does not answer. Try again in a moment.',
	unsupported: NOT_UNDERSTOOD,
	unknown: NOT_UNDERSTOOD,
	bad_json: NOT_UNDERSTOOD,
	bad_field: NOT_UNDERSTOOD,
	bad_sdp: NOT_UNDERSTOOD,
	busy: 'The server has its hands full. Try again in a moment.',
	rate: 'That was too fast for the server. Try again in a moment.',
	too_large: 'That was too much for the server at once.',
	not_joined: 'The room was not joined. Try again.',
	media_failed: 'The sound could not be connected. Try again.',
	closed: 'The call has ended.',
};

/** @param {unknown} error @returns {string} */
export function sentenceFor(error) {
	if (error instanceof MicrophoneError) return MICROPHONE[error.code] ?? error.message;
	if (error instanceof RefusedError) return sentenceForRefusal(error);
	if (error instanceof PlenumError) return FAILED[error.code] ?? unexpected(error.code);
	return unexpected(error instanceof Error ? error.message : String(error));
}

/** @type {Record<string, string>} */
const REFUSED = {
	server_full: 'The server is full.',
	rooms_full: 'The server cannot open another room now.',
	room_full: 'The room is full.',
	joins_full: 'Many people are joining at this moment.',
	rate: 'Too many people have joined from your network just now.',
	draining: 'The server is about to end and takes nobody in.',
	unavailable: 'The server takes no connections now.',
};

/** @param {RefusedError} error */
export function sentenceForRefusal({ code, level, message }) {
	if (code === 'pressure')
		return level === 2 ? 'The server is too busy to open another room now.' : 'The server is too busy to take anybody in now.';
	return REFUSED[code] ?? message;
}

/** What the server says of a message is for whoever wrote the page; people get a word to pass on. @param {string} what */
function unexpected(what) {
	return `Something went wrong that should not (${what}). Reload the page and try again.`;
}

/** @param {{ code: string, message: string }} end @returns {string} */
export function sentenceForEnd({ code, message }) {
	return ENDED[code] ?? FAILED[code] ?? message;
}

/** A name as it may be sent: no control characters, no halves of characters, no space around it. @param {string} text */
export function cleaned(text) {
	return new TextDecoder().decode(new TextEncoder().encode(text)).replace(/\p{Cc}+/gu, ' ').trim();
}

/** What is wrong with a person's or a room's name, or ''. @param {'name'|'room'} field @param {string} text */
export function complaintAbout(field, text) {
	const name = cleaned(text);
	if (field === 'room' && !name) return 'The room needs a name.';
	if (bytesOf(name) <= NAME_BYTES_MAX) return '';
	const fit = charactersThatFit(name);
	return `This name is too long${fit > 0 ? `: there is room for its first ${fit} characters` : ''}.`;
}

/** As people count: an accent or the parts of a flag are no characters of their own. @param {string} name */
function charactersThatFit(name) {
	const characters = Array.from(new Intl.Segmenter().segment(name), ({ segment }) => segment);
	let bytes = 0;
	return characters.findIndex((character) => (bytes += bytesOf(character)) > NAME_BYTES_MAX);
}

/** In UTF-8, as the server counts. @param {string} text */
function bytesOf(text) {
	return new TextEncoder().encode(text).length;
}

/** The switch's, in its order. */
export const AUDIO_MODES = /** @type {const} */ (['forward', 'mixed', 'auto']);

/** @type {Record<string, string>} what each means, as a sentence under the switch */
const AUDIO = {
	forward: 'Each voice comes as it was sent, in a stream of its own.',
	mixed: 'The voices come in one stream, mixed by the server: less to receive.',
	auto: 'The server decides: forwarded while there are streams for several voices, else mixed.',
};

/** @param {import('./plenum.js').Audio} audio */
export function sentenceForAudio({ mode, modes }) {
	return modes.includes('mixed') ? AUDIO[mode] : 'This server forwards each voice as it was sent; it does not mix.';
}

/** "Ann, Bob and Eve" @param {string[]} names */
export function inWords(names) {
	return new Intl.ListFormat('en').format(names);
}

/** Of something that takes minutes: not more exact than it need be. @param {number} ms */
export function inMinutes(ms) {
	const seconds = Math.max(0, ms / 1000);
	if (seconds > 90) return `in ${Math.round(seconds / 60)} minutes`;
	return seconds > 10 ? `in ${Math.ceil(seconds / 10) * 10} seconds` : 'in a moment';
}

/** @param {number} ms */
export function inSeconds(ms) {
	const seconds = Math.max(1, Math.ceil(ms / 1000));
	return seconds === 1 ? 'in a second' : `in ${seconds} seconds`;
}

const MOODS = ['amber', 'bright', 'calm', 'clever', 'early', 'gentle', 'golden', 'green', 'happy', 'lively', 'lucky', 'mellow',
	'quiet', 'silver', 'sunny', 'warm'];
const PLACES = ['attic', 'bakery', 'balcony', 'bridge', 'garden', 'harbour', 'island', 'kitchen', 'library', 'meadow', 'orchard',
	'pier', 'river', 'studio', 'terrace', 'valley'];

/** A room's name that is easy to say aloud; the number keeps strangers apart. */
export function inventRoom() {
	const pick = (/** @type {string[]} */ words) => words[Math.floor(Math.random() * words.length)];
	return `${pick(MOODS)}-${pick(PLACES)}-${Math.floor(Math.random() * 90) + 10}`;
}

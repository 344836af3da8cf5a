// @ts-check
/** Everything the page says that depends on what happened: sentences for errors, names for rooms. */

import { MicrophoneError, PlenumError } from './plenum.js';

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

/** @type {Record<string, string>} */
const FAILED = {
	unreachable: 'The server cannot be reached. Is it running, and are you online?',
	disconnected: 'The connection was lost while joining. Try again.',
	timeout: 'The server does not answer. Try again in a moment.',
	unsupported: 'This server speaks another version. Reload the page.',
};

/** @param {unknown} error @returns {string} */
export function sentenceFor(error) {
	if (error instanceof MicrophoneError) return MICROPHONE[error.code] ?? error.message;
	if (error instanceof PlenumError) return FAILED[error.code] ?? error.message;
	return `Something went wrong: ${error instanceof Error ? error.message : error}.`;
}

/** @param {{ code: string, message: string }} end @returns {string} */
export function sentenceForEnd({ code, message }) {
	return ENDED[code] ?? FAILED[code] ?? message;
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

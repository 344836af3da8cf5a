// @ts-check
/** The page: a lobby, then a call, then the lobby again. */

import { join, MicrophoneError, PlenumError } from './plenum.js';
import { Lobby } from './lobby.js';
import { Microphones } from './microphones.js';
import { clearNotices, notify } from './notices.js';
import { Stage } from './stage.js';
import { recall } from './remember.js';
import { AUDIO_MODES, sentenceFor, sentenceForEnd } from './words.js';

const microphones = new Microphones();
let joining = new AbortController();
const lobby = new Lobby(microphones, enter, () => joining.abort());
lobby.show();

/** @param {import('./lobby.js').Choice} choice */
async function enter({ name, room, isListener }) {
	joining = new AbortController();
	clearNotices();
	lobby.setJoining(true);
	if (isListener) microphones.close();
	let hasWaited = false;
	try {
		const call = await joinAsBefore({
			room, name, signal: joining.signal,
			microphone: isListener ? false : await microphones.open(),
			onrefused: (refusal) => {
				hasWaited = true;
				lobby.wait(refusal);
			},
		});
		showCall(call, room, hasWaited);
	} catch (error) {
		clearNotices();
		lobby.setJoining(false);
		if (error instanceof MicrophoneError) lobby.offerListening(error);
		else if (!joining.signal.aborted) notify('ended', { text: sentenceFor(error) });
	}
}

/**
 * Hears the others as it was chosen in the call before.  A server that does not mix is no reason to stay out.
 * @param {import('./plenum.js').JoinOptions} options
 */
async function joinAsBefore(options) {
	const audio = AUDIO_MODES.find((mode) => mode === recall('audio')) ?? 'auto';
	try {
		return await join({ ...options, audio });
	} catch (error) {
		if (audio !== 'mixed' || !(error instanceof PlenumError) || error.code !== 'unsupported') throw error;
		return await join({ ...options, audio: 'auto' });
	}
}

/** @param {import('./plenum.js').Call} call @param {string} room @param {boolean} hasWaited */
function showCall(call, room, hasWaited) {
	clearNotices();
	lobby.hide();
	history.replaceState(null, '', `/#${encodeURIComponent(room)}`);
	const stage = new Stage(call, room, microphones);
	if (hasWaited) stage.greet();
	Object.assign(window, { plenum: { call } }); // for the curious, in the browser's console
	call.on('closed', (end) => {
		stage.close();
		lobby.show();
		if (end.code !== 'left') notify('ended', { text: sentenceForEnd(end) });
	});
}

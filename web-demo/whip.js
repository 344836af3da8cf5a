// @ts-check
/** A client of WHIP (RFC 9725) and WHEP in plain RTCPeerConnection and fetch, and the page around it.  For calls there
 * is plenum.js: it knows who is in the room and who speaks. */

import { button, element, input, setText } from './dom.js';
import { recall, remember } from './remember.js';

const SLOTS = 3; // voices that a player hears at the same time when they are forwarded
const RESTART_AFTER_MS = 3000;
const LEVEL_EVERY_MS = 100;

/** One session: from the POST of an offer to its DELETE. */
class Session {
	#pc = new RTCPeerConnection();
	#answer = '';
	#restartTimer = 0;
	/** The session's URL. */ location = '';
	/** Of its present ICE session. */ etag = '';
	/** Called with the connection's state, and at an ICE restart. */ onchange = () => {};

	/** @type {RTCPeerConnectionState} */
	get state() {
		return this.#pc.connectionState;
	}

	/** The receivers, one for each slot. */
	get receivers() {
		return this.#pc.getReceivers().filter(({ track }) => track.kind === 'audio');
	}

	/** @param {MediaStreamTrack} track */
	send(track) {
		this.#pc.addTransceiver(track, { direction: 'sendonly' });
	}

	/** @param {number} slots */
	receive(slots) {
		for (let i = 0; i < slots; i++) this.#pc.addTransceiver('audio', { direction: 'recvonly' });
	}

	/** @param {string} endpoint @throws {Error} with the server's own words */
	async start(endpoint) {
		await this.#pc.setLocalDescription();
		const headers = { 'Content-Type': 'application/sdp' };
		const response = await fetch(endpoint, { method: 'POST', headers, body: this.#pc.localDescription?.sdp });
		await expect(response, 201);
		this.location = new URL(response.headers.get('Location') ?? '', response.url).href;
		this.etag = response.headers.get('ETag') ?? '';
		this.#answer = await response.text();
		await this.#pc.setRemoteDescription({ type: 'answer', sdp: this.#answer });
		this.#pc.addEventListener('connectionstatechange', () => this.#watch());
	}

	#watch() {
		clearTimeout(this.#restartTimer);
		// What is disconnected may come back by itself; if not, other addresses may lead to the server.
		if (this.state === 'failed') this.#try();
		else if (this.state === 'disconnected') this.#restartTimer = setTimeout(() => this.#try(), RESTART_AFTER_MS);
		this.onchange();
	}

	#try() {
		this.restart().catch(() => this.onchange());
	}

	/** ICE begins anew, all else goes on: only the two sides' credentials are exchanged. */
	async restart() {
		this.#pc.restartIce();
		await this.#pc.setLocalDescription();
		const offer = this.#pc.localDescription?.sdp ?? '';
		const headers = { 'Content-Type': 'application/trickle-ice-sdpfrag', 'If-Match': '*' };
		const body = ['ice-ufrag', 'ice-pwd'].map((name) => `a=${name}:${valueOf(offer, name)}\r\n`).join('');
		const response = await fetch(this.location, { method: 'PATCH', headers, body });
		await expect(response, 200);
		this.etag = response.headers.get('ETag') ?? '';
		const fragment = await response.text();
		for (const name of ['ice-ufrag', 'ice-pwd']) {
			const line = new RegExp(`^a=${name}:.*$`, 'gm');
			this.#answer = this.#answer.replace(line, `a=${name}:${valueOf(fragment, name)}`);
		}
		await this.#pc.setRemoteDescription({ type: 'answer', sdp: this.#answer });
		this.onchange();
	}

	/** Also while the page is closed: should the DELETE get lost, the server notices that the connection is. */
	stop() {
		clearTimeout(this.#restartTimer);
		if (this.location) fetch(this.location, { method: 'DELETE', keepalive: true }).catch(() => {});
		this.#pc.close();
	}
}

/** @param {string} sdp @param {string} name */
function valueOf(sdp, name) {
	return new RegExp(`^a=${name}:(.*?)\\r?$`, 'm').exec(sdp)?.[1] ?? '';
}

/** The server has no place now, or too many ask; `retryAfterMs` says when to ask again. */
class RefusedError extends Error {
	/** @param {string} message @param {number} retryAfterMs */
	constructor(message, retryAfterMs) {
		super(message);
		this.retryAfterMs = retryAfterMs;
	}
}

/** @param {Response} response @param {number} status */
async function expect(response, status) {
	if (response.status === status) return;
	const { msg, retry_after_ms: ms } = await response.json().catch(() => ({ msg: `the server answered ${response.status}` }));
	const isForNow = response.status === 503 || response.status === 429;
	if (isForNow) throw new RefusedError(msg, ms ?? Number(response.headers.get('Retry-After') ?? 5) * 1000);
	throw new Error(msg);
}

/* ---- the page ---- */

/** @type {Record<string, string>} how a player hears the others: what it means, as a sentence under the switch */
const AUDIO = {
	forward: `Up to ${SLOTS} voices at a time, each in a stream of its own.`,
	mixed: 'All who talk in one stream, mixed by the server.',
	auto: `${SLOTS} streams; the server decides what flows in them.`,
};

/** @type {Session|null} */ let session = null;
/** @type {MediaStreamTrack|null} */ let microphone = null;
let levels = 0;

/** @param {Session} opening */
async function openMicrophone(opening) {
	if (!navigator.mediaDevices) throw new Error('Browsers open the microphone only on HTTPS pages and on localhost.');
	const [track] = (await navigator.mediaDevices.getUserMedia({ audio: true })).getAudioTracks();
	if (session === opening) return (microphone = track);
	track.stop(); // too late
	throw new Error('stopped');
}

/** @param {string} kind "whip" or "whep" */
async function start(kind) {
	const room = input('room').value.trim();
	const name = input('name').value.trim() || 'Guest';
	const isPublishing = kind === 'whip';
	const audio = chosenAudio();
	remember('name', name);
	if (!isPublishing) remember('audio', audio);
	show(isPublishing ? 'Asking for the microphone…' : 'Connecting…', true);
	const starting = session = new Session();
	try {
		if (isPublishing) starting.send(await openMicrophone(starting));
		else starting.receive(audio === 'mixed' ? 1 : SLOTS);
		starting.onchange = () => showState(starting, isPublishing);
		const wishes = `name=${encodeURIComponent(name)}${isPublishing ? '' : `&audio=${audio}`}`;
		await startPatiently(starting, `/v1/${kind}/${encodeURIComponent(room)}?${wishes}`);
		history.replaceState(null, '', `#${encodeURIComponent(room)}`);
		Object.assign(window, { whip: starting }); // for the curious, in the browser's console
		if (!isPublishing) playAll(starting);
		showState(starting, isPublishing);
	} catch (error) {
		if (session !== starting) return starting.stop(); // by the button, while it started
		stop();
		show(`That did not work: ${error instanceof Error ? error.message : error}`, false);
	}
}

/** A server without a place, or that too many ask, is asked again for as long as nobody presses Stop. @param {Session} starting @param {string} endpoint */
async function startPatiently(starting, endpoint) {
	for (;;) {
		try {
			return await starting.start(endpoint);
		} catch (error) {
			if (!(error instanceof RefusedError) || session !== starting) throw error;
			show(`${error.message} Asking again in ${Math.ceil(error.retryAfterMs / 1000)} s…`, true);
			await new Promise((resolve) => setTimeout(resolve, error.retryAfterMs));
			if (session !== starting) throw error;
		}
	}
}

function stop() {
	session?.stop();
	microphone?.stop();
	session = microphone = null;
	clearInterval(levels);
	element('voices').replaceChildren();
	show('', false);
}

/** A slot is one voice at a time: an element plays it, and a bar shows it. @param {Session} playing */
function playAll(playing) {
	const bars = playing.receivers.map(({ track }) => {
		const audio = new Audio();
		audio.srcObject = new MediaStream([track]);
		audio.play().catch(() => show('The browser keeps this page silent. Press Stop, then Play again.', true));
		const bar = document.createElement('li');
		bar.className = 'level';
		bar.append(document.createElement('span'), audio);
		return bar;
	});
	element('voices').replaceChildren(...bars);
	levels = setInterval(() => playing.receivers.forEach((receiver, i) => {
		const level = Math.sqrt(receiver.getSynchronizationSources()[0]?.audioLevel ?? 0);
		bars[i].style.setProperty('--level', level.toFixed(2));
	}), LEVEL_EVERY_MS);
}

/** @param {Session} shown @param {boolean} isPublishing */
function showState(shown, isPublishing) {
	if (shown !== session) return;
	const words = {
		new: 'Connecting…', connecting: 'Connecting…', closed: '',
		connected: isPublishing ? 'You are heard in the room.' : 'This is what the room says.',
		disconnected: 'The connection is interrupted…', failed: 'The connection is lost; trying again…',
	};
	show(words[shown.state], true);
	setText(element('location'), shown.location);
	setText(element('etag'), shown.etag);
}

/** @param {string} text @param {boolean} isRunning */
function show(text, isRunning) {
	setText(element('state'), text);
	element('whip').dataset.connection = session?.state ?? 'idle';
	element('choice').hidden = isRunning;
	element('stop').hidden = !isRunning;
	element('session').hidden = !session?.location;
	element('voices').hidden = element('voices').children.length === 0;
	input('room').readOnly = input('name').readOnly = isRunning;
	/** @type {HTMLFieldSetElement} */ (element('audio')).disabled = isRunning;
}

function chosenAudio() {
	return /** @type {HTMLInputElement} */ (document.querySelector('#audio input:checked')).value;
}

function showAudio() {
	setText(element('audio-hint'), AUDIO[chosenAudio()]);
}

element('whip').addEventListener('submit', (event) => {
	event.preventDefault();
	if (!session) start(/** @type {HTMLButtonElement} */ (event.submitter ?? button('publish')).value);
});
button('stop').addEventListener('click', stop);
addEventListener('pagehide', () => session?.stop());
element('audio').addEventListener('change', showAudio);
for (const radio of document.querySelectorAll('#audio input'))
	if (/** @type {HTMLInputElement} */ (radio).value === recall('audio')) /** @type {HTMLInputElement} */ (radio).checked = true;
showAudio();
input('name').value = recall('name');
input('room').value = decodeURIComponent(location.hash.slice(1)) || 'kitchen';

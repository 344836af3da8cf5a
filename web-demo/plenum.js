// @ts-check
/**
 * Plenum's client library: joins a call, plays it, and keeps it while networks come and go.
 *
 *     import { join } from './plenum.js';
 *
 *     const call = await join({ room: 'kitchen', name: 'Ann', microphone: true });
 *     call.on('peer', ({ op, peer }) => console.log(op, peer.name));
 *     call.on('speakers', ({ dominant }) => console.log('talking:', dominant));
 *     call.mute();
 *     call.leave();
 *
 * One file, no dependency, standard browser code.  Below, in this order: the words (types), the errors, `join`, the
 * microphone, then three layers: `Call` (what the application sees, and the recovery), `Media` (one peer connection)
 * and `Channel` (one WebSocket).  The protocol is docs/signaling.md; events have its names.  Whoever only uses the
 * library has read all of it at the line "joining and staying", in the middle of `Call`.
 */

/**
 * @typedef {object} JoinOptions
 * @property {string} room                 The room's name, 1-128 bytes.  Whoever joins first makes it.
 * @property {string} [name]               How the others see you.
 * @property {Record<string, any>} [attrs] Anything of your own that everyone in the room sees, at most 4 KB as JSON.
 * @property {string} [url]                The server; default: where this file came from.
 * @property {MediaStreamTrack|string|boolean} [microphone]  A track, a device's id, true for the default microphone;
 *                                         false (the default) only listens.  A track stays yours: a clone is sent.
 * @property {boolean} [muted]             Join muted.
 * @property {number} [slots]              How many people are heard at the same time, 1-16; default 3.
 * @property {AudioMode} [audio]            How you hear them; default 'forward'.  'mixed' rejects with `unsupported` where
 *                                         the server does not mix; 'auto' never does.
 * @property {string} [token]              For servers that ask for one.
 * @property {AbortSignal} [signal]        Gives up joining, or waiting for a place.
 * @property {boolean} [waits]             A server that takes nobody in now is asked again after the time that it names,
 *                                         until there is a place; default true.  Otherwise `join` rejects.
 * @property {(error: RefusedError) => void} [onrefused]  Told each time, so that a person knows what is waited for.
 */

/**
 * 'forward': each voice as it was sent, in a slot of its own.  'mixed': all in one stream, mixed by the server.
 * 'auto': what fits the number of slots.
 * @typedef {'forward'|'mixed'|'auto'} AudioMode
 */

/**
 * What is asked for, and what the server has; without 'mixed' among the modes it does not mix.
 * @typedef {{ mode: AudioMode, quality: string, modes: AudioMode[], qualities: string[] }} Audio
 */

/** @typedef {{ track: string, kind: string, muted: boolean, mid?: string }} Track  Something that a peer sends. */

/**
 * A stream that the server fills with whoever is loud: its mid and SSRC never change, the peer in it does.  With a mix
 * (its quality) in it there is no single peer: `call.heard()` tells who is in it.
 * @typedef {{ slot: number, mid?: string, ssrc?: number, peer: string|null, track: string|null, source?: number|null, mix?: string|null }} Slot
 */

/** @typedef {'connecting'|'connected'|'reconnecting'|'closed'} CallState */

/**
 * How hard the server is pressed (`level` 0-4, `name`), by what (`cause`), and what it has taken away for that: `actions`
 * are words of docs/signaling.md; `audioSlots` says how many voices you hear at the same time, null: as many as you have slots.
 * @typedef {{ level: number, name: string, cause: string|null, audioSlots: number|null, actions: string[] }} Pressure
 */

/**
 * What `call.stats()` tells.  Rates and losses are of the last seconds, however often it is asked; null is "not known yet".
 * @typedef {object} Stats
 * @property {number|null} roundTripMs   Of media, to the server and back.
 * @property {number|null} signalingMs   Of signaling.
 * @property {number|null} lossIn        Share of packets lost on their way to you, 0-1.
 * @property {number|null} lossOut       Share of your packets that the server missed, 0-1.
 * @property {number|null} jitterMs
 * @property {number|null} bitrateIn     Bits per second of audio, without headers.
 * @property {number|null} bitrateOut
 * @property {string|null} codec
 * @property {{ local: string, remote: string }|null} path  The addresses that media flows between.
 */

/**
 * @typedef {object} CallEvents
 * @property {{ op: 'join'|'update'|'leave', peer: Peer, reason?: string }} peer  `reason`: left, lost or kicked.
 * @property {{ op: 'add'|'update'|'remove', peer: Peer, track: Track }} track    Your own tracks too.
 * @property {{ slots: Slot[] }} slots                                            Who is in which slot changed.
 * @property {Audio} audio                                                         How you hear the others changed.
 * @property {{ top: string[], dominant: string|null }} speakers                  Ids, the loudest first.
 * @property {{ from: string, topic: string, body: any }} data
 * @property {{ state: CallState, signaling: boolean, media: boolean }} state     `signaling`, `media`: which of them
 *     stands.  Without signaling, `media` is true only while packets are known to arrive.
 * @property {Stats} stats                                                        Every two seconds.
 * @property {{}} blocked       The browser will not play sound before a click: call `call.unblock()` in one.
 * @property {RefusedError} refused                                               The call waits and asks again.
 * @property {Pressure} degraded  The server has taken something away, or given it back; nothing is to be done.
 * @property {{ deadlineMs: number }} draining                                    The server ends then; until then the call goes on.
 * @property {{ code: string, url: string, isDone: boolean }} move                The call goes to another server, or is there.
 * @property {{ code: string, msg: string, resumable: boolean }} bye              The server's reason.
 * @property {PlenumError} error                                                  Something failed; the call goes on.
 * @property {{ code: string, message: string }} closed                           The end, whatever the reason.
 */

const PROTOCOL = 'plenum.v1';
const REQUEST_MS = 10000;
const PING_EVERY_MS = 10000;
const PING_MS = 4000;           // A socket that is silent for longer is dead, whatever TCP believes.
const DISCONNECTED_MS = 5000;   // ICE often heals by itself; after this we help.
const ICE_RESTART_MS = 8000;
const STATS_EVERY_MS = 2000;
const RATE_MS_MIN = 1000;      // Over less, a rate is a matter of three packets or four.
const CONNECTED_EVERY_MS = 50;
const ARRIVALS_EVERY_MS = 250;
const ARRIVED_LATELY_MS = 4000; // Who is silent hears from the server by ICE's checks, every 2.5 s in Chromium.
const HEARD_LATELY_MS = 500;
const BACKOFF_FIRST_MS = 500;
const BACKOFF_MAX_MS = 10000;

const RETRY_MS_MIN = 500;        // whatever a server says
const RETRY_MS_MAX = 120000;
const UNAVAILABLE_MS = 4000;     // to ask again where nothing says when
const MOVED_MS = 8000;           // media on the new server has this long before the old one's ends

/** @type {Audio} of a server that does not say. */
const NO_AUDIO = { mode: 'forward', quality: 'full', modes: ['forward'], qualities: [] };

/** @type {Pressure} */
const NO_PRESSURE = { level: 0, name: 'nominal', cause: null, audioSlots: null, actions: [] };

/** A problem: `code` is for programs, `message` is a sentence for people. */
export class PlenumError extends Error {
	/** @param {string} code @param {string} message @param {unknown} [cause] */
	constructor(code, message, cause) {
		super(message, { cause });
		this.name = new.target.name;
		this.code = code;
	}
}

/** The server takes nobody in now; `retryAfterMs` says when to ask again. */
export class RefusedError extends PlenumError {
	/** @param {any} wire as in `refused` */
	constructor({ code, reason, retry_after_ms, cause, level, url }) {
		super(code, reason);
		const ms = Number.isFinite(retry_after_ms) ? retry_after_ms : UNAVAILABLE_MS;
		this.retryAfterMs = Math.min(Math.max(ms, RETRY_MS_MIN), RETRY_MS_MAX);
		/** @type {string|null} Of `pressure`: what the server has too much of. */ this.cause = cause ?? null;
		/** @type {number|null} Of `pressure`. */ this.level = level ?? null;
		/** @type {string|null} Another server, which is asked at once. */ this.url = typeof url === 'string' ? url : null;
	}
}

/** No microphone; `code`: denied, missing, busy, insecure, unsupported or lost. */
export class MicrophoneError extends PlenumError {}

/**
 * Joins a room.  Resolves when the server has let you in (`call.state` becomes `connected` a moment later, when media
 * flows); rejects with a PlenumError.
 * @param {JoinOptions} options
 * @returns {Promise<Call>}
 */
export async function join(options) {
	const call = new Call(options);
	await call.start();
	return call;
}

/**
 * Opens a microphone, and says in words what stands in the way.
 * @param {string} [deviceId] default: the system's choice
 * @returns {Promise<MediaStreamTrack>}
 */
export async function openMicrophone(deviceId) {
	if (!globalThis.isSecureContext)
		throw new MicrophoneError('insecure', 'Browsers open the microphone only on pages that came by HTTPS or from this computer.');
	if (!navigator.mediaDevices?.getUserMedia)
		throw new MicrophoneError('unsupported', 'This browser cannot open a microphone.');
	try {
		const audio = { echoCancellation: true, noiseSuppression: true, autoGainControl: true,
			...(deviceId && { deviceId: { exact: deviceId } }) };
		const stream = await navigator.mediaDevices.getUserMedia({ audio });
		return stream.getAudioTracks()[0];
	} catch (error) {
		throw microphoneError(error);
	}
}

const NO_MICROPHONE = {
	denied: 'The browser does not allow this page to use the microphone.',
	missing: 'There is no such microphone.',
	busy: 'The microphone does not start; another program may be using it.',
};

/** @type {Record<string, keyof NO_MICROPHONE>} by the names that browsers throw */
const MICROPHONE_CODES = {
	NotAllowedError: 'denied', SecurityError: 'denied', NotFoundError: 'missing', OverconstrainedError: 'missing',
	NotReadableError: 'busy', AbortError: 'busy',
};

/** @param {any} error @returns {MicrophoneError} */
function microphoneError(error) {
	const code = MICROPHONE_CODES[error?.name];
	return code ? new MicrophoneError(code, NO_MICROPHONE[code], error)
		: new MicrophoneError('unsupported', `The microphone does not open: ${error}.`, error);
}

/** Somebody in the room. */
export class Peer {
	/** @param {any} wire as in `welcome.peers` */
	constructor(wire) {
		/** @type {string} */ this.id = wire.peer;
		/** @type {number} The number by which packets name them (CSRC). */ this.source = wire.source;
		/** @type {string} */ this.name = '';
		/** @type {Record<string, any>} */ this.attrs = {};
		/** @type {Track[]} */ this.tracks = [];
		this.update(wire);
	}

	/** @param {any} wire */
	update(wire) {
		this.name = wire.name ?? this.name;
		this.attrs = wire.attrs ?? this.attrs;
		this.tracks = wire.tracks ?? this.tracks;
	}

	/** True when there is nothing to hear: all tracks are muted, or there is none. */
	get isMuted() {
		return this.tracks.every((track) => track.muted);
	}
}

/** A call: what `join` gives you. */
export class Call extends EventTarget {
	/** @type {CallState} */ state = 'connecting';
	/** @type {Peer|null} You; null before the first welcome. */ me = null;
	/** @type {Map<string, Peer>} The others, by id. */ peers = new Map();
	/** @type {Slot[]} */ slots = [];
	/** @type {{ top: string[], dominant: string|null }} */ speakers = { top: [], dominant: null };
	/** @type {Audio} How you want to hear the others; `slots` says whether they are mixed now. */ audio = NO_AUDIO;
	/** @type {Pressure} */ pressure = NO_PRESSURE;
	/** @type {boolean} */ muted;
	/** @type {boolean} The browser holds the sound back: see the event. */ blocked = false;

	#options;
	/** @type {Channel|null} Null while there is no connection. */ #channel = null;
	/** @type {Media|null} Null: the next join makes a new one. */ #media = null;
	/** @type {Media|null} Of the server that we leave, until the next one is heard. */ #leaving = null;
	/** @type {{ session: string, ticket: string, n: number }|null} Null: the next join starts anew. */ #session = null;
	/** @type {MediaStreamTrack|null} What we send when not muted; ours to stop. */ #microphone = null;
	/** @type {Map<string, number>} */ #volumes = new Map();
	#toldState = '';
	#hasBeenConnected = false;
	#isRecovering = false;
	#isRepairing = false;
	#isProbing = false;
	/** This session's media has been connected at least once. */ #hasMediaWorked = false;
	/** How long a server that sent us away wants to be left alone. */ #restMs = 0;
	/** When a packet was last seen to arrive without signaling. */ #arrivedMs = -Infinity;
	/** @type {number|null} */ #signalingMs = null;
	/** @type {Promise<unknown>} One offer at a time. */ #negotiation = Promise.resolve();
	/** @type {Promise<unknown>} One attempt to connect at a time. */ #attempts = Promise.resolve();
	/** @type {{ url?: string }|null} The server that sent us on to another, until that one has let us in. */ #home = null;
	/** @type {string|null} Where this server has sent us, should it end before we are there. */ #next = null;
	/** @type {(() => void)|null} Ends the wait between two attempts. */ #wake = null;
	/** Everything that listens or ticks beyond the call's life ends with this. */ #end = new AbortController();

	/** Use `join`. @param {JoinOptions} options */
	constructor(options) {
		super();
		this.#options = { ...options, slots: options.slots ?? 3, microphone: options.microphone ?? false,
			audio: options.audio ?? 'forward', quality: NO_AUDIO.quality };
		this.muted = options.muted ?? false;
	}

	/**
	 * Calls listener with the event's detail; returns a function that ends it.  (addEventListener works too.)
	 * @template {keyof CallEvents} T
	 * @param {T} type
	 * @param {(detail: CallEvents[T]) => void} listener
	 * @returns {() => void}
	 */
	on(type, listener) {
		/** @param {Event} event */
		const call = (event) => listener(/** @type {CustomEvent} */ (event).detail);
		this.addEventListener(type, call);
		return () => this.removeEventListener(type, call);
	}

	/** @template {keyof CallEvents} T @param {T} type @param {CallEvents[T]} detail */
	#emit(type, detail) {
		this.dispatchEvent(new CustomEvent(type, { detail }));
	}

	/** Stops or starts sending.  Mute holds at once, and the server enforces it too. @param {boolean} [on] */
	async mute(on = true) {
		this.muted = on;
		// Told before the audio starts: what arrives while the server believes us muted is lost.
		const told = this.#tellMuted();
		await this.#media?.send(this.#trackToSend());
		await told;
	}

	/** Without a connection nothing is told: the next welcome brings us back here. */
	async #tellMuted() {
		const track = this.#published();
		if (track && this.#channel) await this.#channel.request({ t: 'mute', track: track.track, on: this.#isSilent() });
	}

	#published() {
		return this.me?.tracks.find(({ kind }) => kind === 'audio');
	}

	#isSilent() {
		return this.muted || !this.#microphone;
	}

	#trackToSend() {
		return this.muted ? null : this.#microphone;
	}

	/**
	 * Changes the microphone without a gap in the call; false takes it away.
	 * @param {MediaStreamTrack|string|boolean} microphone
	 */
	async setMicrophone(microphone) {
		const track = await ownTrack(microphone);
		if (this.#isClosed()) return track?.stop();
		const old = this.#microphone;
		this.#adopt(track);
		if (track && this.#media && !this.#media.canSend) {
			this.#media.addMicrophone(null);
			if (this.#channel) await this.#negotiate();
		}
		await this.#media?.send(this.#trackToSend());
		old?.stop();
		await this.#tellMuted();
	}

	/** @param {MediaStreamTrack|null} track */
	#adopt(track) {
		this.#microphone = track;
		track?.addEventListener('ended', () => {
			if (track !== this.#microphone || this.#isClosed()) return;
			this.#emit('error', new MicrophoneError('lost', 'The microphone is gone; it may have been unplugged.'));
			this.setMicrophone(false).catch((error) => this.#emit('error', error));
		});
	}

	/** The server that the call is on now: it may have sent us on to another. */
	get server() {
		return new URL(socketUrl(this.#options.url).replace(/^ws/, 'http')).origin;
	}

	/** The microphone as it is sent, also while muted; null when only listening. */
	get microphone() {
		return this.#microphone;
	}

	/**
	 * Changes how you hear the others, at once and without a pause.  Rejects with `unsupported`, and changes nothing, where
	 * the server does not have it.
	 * @param {AudioMode} audio
	 * @param {string} [quality] of a mix, one of `call.audio.qualities`; default: as it is
	 */
	async setMode(audio, quality = this.#options.quality) {
		const before = { audio: this.#options.audio, quality: this.#options.quality };
		Object.assign(this.#options, { audio, quality }); // without a connection: for the next welcome
		try {
			await this.#tellMode();
		} catch (error) {
			if (error instanceof PlenumError && error.code === 'unsupported') Object.assign(this.#options, before);
			throw error;
		}
	}

	async #tellMode() {
		const { audio, quality } = this.#options;
		if (this.audio.mode === audio && this.audio.quality === quality) return;
		await this.#channel?.request({ t: 'mode', audio, ...(quality !== this.audio.quality && { quality }) });
		this.audio = { ...this.audio, mode: audio, quality };
		this.#emit('audio', this.audio);
	}

	/**
	 * Sends anything that JSON can hold to everyone else, or to some.
	 * @param {string} topic @param {any} body @param {string[]} [to] peer ids
	 */
	async send(topic, body, to) {
		await this.#request({ t: 'data', topic, body, ...(to && { to }) });
	}

	/** @param {string} name */
	setName(name) {
		return this.#setMeta({ name });
	}

	/** @param {Record<string, any>} attrs */
	setAttrs(attrs) {
		return this.#setMeta({ attrs });
	}

	/** @param {{ name?: string, attrs?: Record<string, any> }} meta */
	async #setMeta(meta) {
		await this.#request({ t: 'meta', ...meta });
		Object.assign(this.#options, meta); // for the next join
		this.me?.update(meta);
	}

	/** How loud you hear somebody, 0-1, whichever slot they are in.  (iOS only knows 0 and 1.) @param {string} peer @param {number} volume */
	setVolume(peer, volume) {
		this.#volumes.set(peer, volume);
		this.#applyVolumes();
	}

	/** Plays what the browser held back; call it in a click or a key. */
	async unblock() {
		this.blocked = false;
		await this.#media?.play();
	}

	/**
	 * Who is in each slot by the packets themselves, and how loud (0-1): true to the moment, and true while signaling
	 * is away.  `peers` are all who are in it, of a mix several; `peer` is the one of a slot that has one.
	 * @returns {{ slot: number, peer: Peer|null, peers: Peer[], level: number, mix: string|null }[]}
	 */
	heard() {
		return this.slots.map(({ slot, mid, mix = null }) => {
			const now = this.#media?.heard(mid);
			const sources = now?.sources.slice(0, mix ? undefined : 1) ?? [];
			const named = [...this.peers.values()].filter(({ source }) => sources.includes(source));
			// A mix without names in its packets: then those are in it of whom the server says that they talk.
			const peers = mix && now && sources.length === 0 ? this.#talkers() : named;
			return { slot, peer: mix ? null : peers[0] ?? null, peers, level: now && peers.length > 0 ? now.level : 0, mix };
		});
	}

	#talkers() {
		return this.speakers.top.map((id) => this.peers.get(id)).filter((peer) => peer !== undefined);
	}

	/** @returns {Promise<Stats>} */
	async stats() {
		const media = await this.#media?.stats() ?? digest(NOTHING, NOTHING);
		return { ...media, signalingMs: this.#signalingMs };
	}

	/** Leaves the room.  The others hear of it at once. */
	leave() {
		if (this.#isClosed()) return;
		this.#channel?.tell({ t: 'leave' });
		this.#close('left', 'You left the call.');
	}

	/* ---- joining and staying ---- */

	/** Used by `join`. */
	async start() {
		const { signal } = this.#options;
		signal?.throwIfAborted();
		const givenUp = new Promise((_, reject) => signal?.addEventListener('abort', () => {
			this.leave();
			reject(signal.reason);
		}, { signal: this.#end.signal }));
		this.#listen();
		try {
			await Promise.race([this.#openAndEnter(), givenUp]); // whoever gives up waits for no answer
		} catch (error) {
			this.#close('not_joined', 'The room was not joined.');
			throw signal?.aborted ? signal.reason : error;
		}
	}

	async #openAndEnter() {
		const track = await ownTrack(this.#options.microphone);
		if (this.#isClosed()) track?.stop();
		else this.#adopt(track);
		await this.#enter();
	}

	/** The first time in; while there is no place, as long as the application likes to wait. */
	async #enter() {
		for (let attempt = 0, isWaiting = false;; attempt++) {
			try {
				return await this.#connect();
			} catch (error) {
				const { waits = true, onrefused, signal } = this.#options;
				// Who waits already goes on when the server is away for a moment, or is started again.
				if (this.#isClosed() || !waits || !(error instanceof RefusedError || (isWaiting && isPassing(error)))) throw error;
				isWaiting = true;
				if (error instanceof RefusedError) attempt = 0;
				const delayMs = this.#afterFailure(error, attempt);
				if (error instanceof RefusedError && delayMs > 0 && !signal?.aborted) onrefused?.(error);
				await this.#pause(delayMs, error instanceof RefusedError);
			}
		}
	}

	#listen() {
		const { signal } = this.#end;
		addEventListener('pagehide', () => this.leave(), { signal });
		for (const type of ['online', 'offline'])
			addEventListener(type, () => (this.#wake?.(), this.#probe()), { signal });
		every(PING_EVERY_MS, signal, () => this.#probe());
		every(STATS_EVERY_MS, signal, async () => this.#emit('stats', await this.stats()));
	}

	/**
	 * One attempt to be in the room, after those that run.  Four cases meet here: a first join (no session, no media), taking
	 * the session over on a new WebSocket (media goes on), the same with a new peer connection, and joining another server
	 * while the call on this one goes on.
	 * @param {string} [urlNew] another server's
	 */
	#connect(urlNew) {
		const turn = this.#attempts.catch(() => {}).then(() => this.#channel && !urlNew ? undefined : this.#connectNow(urlNew));
		this.#attempts = turn;
		return turn;
	}

	/** @param {string} [urlNew] */
	async #connectNow(urlNew) {
		if (this.#isClosed()) throw new PlenumError('closed', 'The call has ended.');
		const session = urlNew ? null : this.#session;
		const isNew = !session || !this.#media;
		const media = isNew || !this.#media ? this.#createMedia() : this.#media;
		/** @type {Channel|null} */ let channel = null;
		try {
			const { room, name, attrs, token, audio } = this.#options;
			const url = urlNew ?? this.#options.url;
			const offering = isNew ? media.offer() : undefined;
			channel = await Channel.open(url);
			const sdp = await offering;
			if (this.#isClosed()) throw new PlenumError('closed', 'The call has ended.');
			const welcome = await channel.request({ t: 'join', v: 1, room, name, attrs, token, audio, sdp,
				...(session && { resume: session }) });
			if (this.#isClosed()) throw new PlenumError('closed', 'The call has ended.');
			if (urlNew) this.#leaveBehind(media);
			this.#options.url = url;
			this.#home = null;
			this.#take(channel, media);
			this.#welcome(welcome);
			if (isNew) await media.accept(welcome.sdp);
		} catch (error) {
			this.#abandon(channel, isNew ? media : null);
			throw error;
		}
		this.#applyVolumes();
		this.#watchMedia(media);
		await this.#tellChanges(media);
	}

	/** What we have on the old server: heard until the new one is, but no more listened to. @param {Media} next */
	async #leaveBehind(next) {
		const channel = this.#channel;
		const media = this.#leaving = this.#media;
		this.#channel = this.#media = this.#next = null;
		if (channel) channel.onevent = channel.onclose = () => {};
		await next.connected(MOVED_MS).catch(() => {});
		channel?.tell({ t: 'leave' });
		channel?.close();
		media?.close();
		this.#leaving = null;
		this.#update();
	}

	/** An attempt has failed half way: leaves nothing of it behind. @param {Channel|null} channel @param {Media|null} media */
	#abandon(channel, media) {
		if (media || this.#isClosed()) channel?.tell({ t: 'leave' }); // or the others would see us for a minute
		if (channel === this.#channel) this.#channel = null;
		channel?.close();
		if (media === this.#media) this.#media = null;
		media?.close();
	}

	/** What has changed here while there was nobody to tell. @param {Media} media */
	async #tellChanges(media) {
		try {
			if (media.needsOffer) await this.#negotiate();
			await this.#tellMode();
			if (this.#published()?.muted !== this.#isSilent()) await this.#tellMuted();
		} catch (error) {
			if (error instanceof PlenumError) this.#emit('error', error);
		}
	}

	/** @param {Channel} channel @param {Media} media */
	#take(channel, media) {
		this.#channel = channel;
		channel.onevent = (event) => this.#onEvent(event);
		channel.onclose = () => {
			if (this.#channel !== channel) return;
			this.#channel = null;
			this.#recover();
		};
		if (media !== this.#media) this.#media?.close();
		this.#media = media;
	}

	/** @param {any} welcome */
	#welcome(welcome) {
		const { session, ticket, you, pressure, audio } = welcome;
		// After a replay the missed events follow, and bring the roster of before to the present one by one.
		this.#session = { session, ticket, n: welcome.replayed && this.#session ? this.#session.n : welcome.n };
		if (this.me?.id === you.peer) this.me?.update(you);
		else this.me = new Peer(you);
		this.#setPressure(pressure ?? {});
		if (!welcome.replayed) this.#setRoster(welcome.peers);
		this.audio = audio ?? NO_AUDIO;
		this.#emit('audio', this.audio);
		this.#setSlots(welcome.slots);
	}

	/** @param {any} wire as in `degraded` */
	#setPressure({ level = 0, name = 'nominal', cause = null, audio_slots: audioSlots = null, actions = [] }) {
		const before = JSON.stringify(this.pressure);
		this.pressure = { level, name, cause, audioSlots, actions };
		if (JSON.stringify(this.pressure) !== before) this.#emit('degraded', this.pressure);
	}

	/** Makes the roster that of a snapshot, and tells only what is different. @param {any[]} peers */
	#setRoster(peers) {
		const present = new Set(peers.map(({ peer }) => peer));
		for (const id of [...this.peers.keys()])
			if (!present.has(id)) this.#onPeer({ op: 'leave', peer: { peer: id }, reason: 'left' });
		for (const peer of peers) this.#onPeer({ op: 'join', peer });
	}

	/** Tries until we are in the room again, or have left. */
	async #recover() {
		if (this.#isRecovering || this.#isClosed()) return;
		this.#isRecovering = true;
		this.#arrivedMs = -Infinity;
		this.#update();
		this.#watchArrivals();
		let delayMs = Math.max(Math.random() * BACKOFF_FIRST_MS, this.#restMs);
		let isRefused = this.#restMs > 0;
		this.#restMs = 0;
		for (let attempt = 1; !this.#isClosed() && !this.#channel; attempt++) {
			await this.#pause(delayMs, isRefused);
			try {
				await this.#connect();
			} catch (error) {
				isRefused = error instanceof RefusedError;
				delayMs = this.#afterFailure(error, attempt);
				if (error instanceof RefusedError && delayMs > 0) this.#emit('refused', error);
			}
		}
		this.#isRecovering = false;
		this.#update();
	}

	/**
	 * A server that died takes signaling along at once, but ICE believes in it for some ten seconds more: until there is
	 * a connection again, only packets tell whether anybody is heard.
	 */
	async #watchArrivals() {
		let before = Infinity; // the first look is the measure: it has what came before the connection broke
		while (!this.#isClosed() && !this.#channel) {
			await sleep(ARRIVALS_EVERY_MS);
			const arrivals = await this.#media?.arrivals() ?? 0;
			if (arrivals > before) this.#arrivedMs = performance.now();
			before = arrivals;
			this.#update();
		}
	}

	/** Is there sound, as far as can be known? */
	#isMediaUp() {
		if (this.#leaving?.state === 'connected') return true;
		if (this.#media?.state !== 'connected') return false;
		return this.#channel !== null || performance.now() - this.#arrivedMs < ARRIVED_LATELY_MS;
	}

	/**
	 * What a failed attempt means; returns how long to wait before the next.
	 * @param {unknown} error @param {number} attempt
	 */
	#afterFailure(error, attempt) {
		const code = error instanceof PlenumError ? error.code : '';
		if (error instanceof RefusedError) return this.#afterRefusal(error);
		if (this.#home && isPassing(error)) this.#goHome(); // the other server is not there
		if (code === 'no_session') {
			this.#startAnew();
			return 0;
		}
		if (code === 'unsupported' && this.#options.audio === 'mixed') {
			this.#options.audio = 'auto'; // the server that came back does not mix: better forwarded than not at all
			return 0;
		}
		if (['bad_json', 'bad_field', 'bad_sdp', 'unknown', 'unsupported', 'too_large'].includes(code))
			this.#close(code, error instanceof Error ? error.message : code);
		return backoffMs(attempt);
	}

	/** Another server is asked at once, and when that has no place either, the first one after a while. @param {RefusedError} error */
	#afterRefusal({ url, retryAfterMs }) {
		if (this.#home) {
			this.#goHome();
		} else if (url) {
			this.#home = { url: this.#options.url };
			this.#options.url = url;
			return 0;
		}
		return retryAfterMs;
	}

	#goHome() {
		this.#options.url = this.#home?.url;
		this.#home = null;
	}

	#startAnew() {
		if (this.#next) {
			this.#options.url = this.#next;
			this.#restMs = 0;
		}
		this.#next = null;
		this.#hasMediaWorked = false;
		this.#session = null;
		this.#media?.close();
		this.#media = null;
	}

	/** @param {number} ms @param {boolean} [isFirm] a change of networks does not shorten it */
	#pause(ms, isFirm = false) {
		const { signal } = this.#end;
		return new Promise((/** @type {(value?: unknown) => void} */ resolve) => {
			const end = () => {
				clearTimeout(timer);
				signal.removeEventListener('abort', end);
				resolve();
			};
			const timer = setTimeout(end, ms);
			signal.addEventListener('abort', end);
			this.#wake = isFirm ? null : end;
		});
	}

	/** Finds a socket that died without a word, as they do when a phone changes networks. */
	async #probe() {
		const channel = this.#channel;
		if (!channel || this.#isProbing) return;
		this.#isProbing = true;
		const sentMs = performance.now();
		try {
			await channel.request({ t: 'ping' }, PING_MS);
			this.#signalingMs = performance.now() - sentMs;
		} catch {
			channel.close();
		}
		this.#isProbing = false;
	}

	#isClosed() {
		return this.state === 'closed';
	}

	/** @param {string} code @param {string} message */
	#close(code, message) {
		if (this.#isClosed()) return;
		this.state = 'closed';
		this.#end.abort();
		this.#channel?.close();
		this.#media?.close();
		this.#leaving?.close();
		this.#microphone?.stop();
		this.#channel = this.#media = this.#leaving = this.#microphone = null;
		this.#emit('state', { state: 'closed', signaling: false, media: false });
		this.#emit('closed', { code, message });
	}

	/** Tells the application when what stands has changed. */
	#update() {
		if (this.#isClosed()) return;
		const signaling = this.#channel !== null;
		const media = this.#isMediaUp();
		this.#hasMediaWorked ||= media;
		this.#hasBeenConnected ||= signaling && media;
		const state = signaling && media ? 'connected' : this.#hasBeenConnected ? 'reconnecting' : 'connecting';
		const told = `${state} ${signaling} ${media}`;
		if (told === this.#toldState) return;
		this.#toldState = told;
		this.state = state;
		this.#emit('state', { state, signaling, media });
	}

	/* ---- media ---- */

	#createMedia() {
		const media = new Media(this.#options.slots);
		if (this.#microphone) media.addMicrophone(this.#trackToSend());
		media.onstate = () => this.#watchMedia(media);
		media.onblocked = () => {
			this.blocked = true;
			this.#emit('blocked', {});
		};
		return media;
	}

	/** Called at each change of the peer connection's state, and after each welcome. @param {Media} media */
	#watchMedia(media) {
		if (media !== this.#media) return;
		this.#update();
		if (media.state === 'failed' || media.state === 'closed') {
			this.#repair(media);
		} else if (media.state === 'disconnected') {
			this.#probe(); // the same network may have taken the socket along
			setTimeout(() => media.state === 'disconnected' && this.#repair(media), DISCONNECTED_MS);
		}
	}

	/** First an ICE restart; if that does not help, a new peer connection. @param {Media} media */
	async #repair(media) {
		// Without a connection there is nobody to send an offer to: the next welcome comes back here.
		if (this.#isRepairing || media !== this.#media || !this.#channel) return;
		this.#isRepairing = true;
		try {
			if (!media.canRestartIce) throw new PlenumError('media_failed', 'The encrypted connection failed.');
			media.restartIce();
			await this.#negotiate();
			await media.connected(ICE_RESTART_MS);
		} catch {
			if (media === this.#media) {
				media.close();
				this.#media = null;
				this.#channel?.close();
			}
		}
		this.#isRepairing = false;
	}

	/** Sends the peer connection's changes; the answer makes them real. */
	#negotiate() {
		const turn = this.#negotiation.catch(() => {}).then(async () => {
			const media = this.#media;
			if (!media) return;
			try {
				const answer = await this.#request({ t: 'offer', sdp: await media.offer() });
				this.me?.update({ tracks: answer.tracks });
				this.#setSlots(answer.slots);
				await media.accept(answer.sdp);
			} catch (error) {
				await media.rollback();
				throw error;
			}
		});
		this.#negotiation = turn;
		return turn;
	}

	/** @param {Record<string, any>} message */
	#request(message) {
		if (!this.#channel) throw new PlenumError('disconnected', 'There is no connection to the server now.');
		return this.#channel.request(message);
	}

	#applyVolumes() {
		for (const { mid, peer } of this.slots)
			this.#media?.setVolume(mid, peer ? this.#volumes.get(peer) ?? 1 : 1);
	}

	/** Events leave out what never changes (mid, ssrc). @param {Slot[]} slots */
	#setSlots(slots) {
		this.slots = slots.map((slot) => ({ ...this.slots.find((old) => old.slot === slot.slot), ...slot }));
		this.#applyVolumes();
		this.#emit('slots', { slots: this.slots });
	}

	/* ---- events of the server ---- */

	/** @param {any} event */
	#onEvent(event) {
		if (typeof event.n === 'number' && this.#session) this.#session.n = event.n;
		switch (event.t) {
		case 'peer':
			return this.#onPeer(event);
		case 'track':
			return this.#onTrack(event);
		case 'slots':
			return this.#setSlots(event.slots);
		case 'speakers':
			this.speakers = { top: event.top, dominant: event.dominant };
			return this.#emit('speakers', this.speakers);
		case 'data':
			return this.#emit('data', { from: event.from, topic: event.topic, body: event.body });
		case 'degraded':
			return this.#setPressure(event);
		case 'draining':
			return this.#emit('draining', { deadlineMs: event.deadline_ms });
		case 'move':
			return this.#onMove(event);
		case 'bye':
			return this.#onBye(event);
		case 'err':
			return this.#emit('error', new PlenumError(event.code, event.msg));
		}
	}

	/** @param {any} event */
	#onPeer({ op, peer: wire, reason }) {
		const known = wire.peer === this.me?.id ? this.me : this.peers.get(wire.peer);
		if (op === 'leave') {
			if (!this.peers.delete(wire.peer) || !known) return;
			return this.#emit('peer', { op, peer: known, reason });
		}
		const before = known && JSON.stringify(known);
		const peer = known ?? new Peer(wire);
		peer.update(wire);
		if (peer !== this.me) this.peers.set(peer.id, peer);
		if (JSON.stringify(peer) !== before) this.#emit('peer', { op: known ? 'update' : 'join', peer });
	}

	/** @param {any} event */
	#onTrack({ op, peer: id, track }) {
		const peer = id === this.me?.id ? this.me : this.peers.get(id);
		if (!peer) return;
		const known = peer.tracks.find((other) => other.track === track.track);
		const others = peer.tracks.filter((other) => other !== known);
		peer.tracks = op === 'remove' ? others : [...others, { ...known, ...track }];
		this.#emit('track', { op, peer, track });
	}

	/**
	 * The server asks us to go on elsewhere.  The call here goes on until the one there is heard; when that fails, until
	 * this server ends.
	 * @param {{ code: string, url: string, after_ms: number, deadline_ms: number }} move
	 */
	async #onMove({ code, url, after_ms: afterMs, deadline_ms: deadlineMs }) {
		if (this.#next) return;
		this.#next = url;
		this.#emit('move', { code, url, isDone: false });
		const endMs = performance.now() + deadlineMs;
		await this.#pause(afterMs, true);
		for (let attempt = 1; this.#next === url && !this.#isClosed() && performance.now() < endMs; attempt++) {
			try {
				await this.#connect(url);
				this.#emit('move', { code, url, isDone: true });
			} catch (error) {
				if (!this.#channel) this.#recover();
				await this.#pause(error instanceof RefusedError ? error.retryAfterMs : backoffMs(attempt), true);
			}
		}
		if (this.#next === url && code === 'pressure') this.#next = null; // this server goes on, with us or without
	}

	/** @param {{ code: string, msg: string, resumable: boolean, retry_after_ms?: number }} bye */
	#onBye(bye) {
		this.#emit('bye', { code: bye.code, msg: bye.msg, resumable: bye.resumable });
		if (bye.resumable) return; // the close that follows makes us resume
		this.#restMs = Math.min(bye.retry_after_ms ?? 0, RETRY_MS_MAX);
		// A server that ends is soon started again, and a network that took the media away may give it back; but
		// where media never worked, another session would not make it work.
		if (bye.code === 'shutdown' || bye.code === 'pressure' || (bye.code === 'media_lost' && this.#hasMediaWorked)) this.#startAnew();
		else this.#close(bye.code, bye.msg);
	}
}

/**
 * A track that is ours to stop, from whatever the application gave.
 * @param {MediaStreamTrack|string|boolean} microphone
 * @returns {Promise<MediaStreamTrack|null>}
 */
async function ownTrack(microphone) {
	if (!microphone) return null;
	if (microphone instanceof MediaStreamTrack) return microphone.clone();
	return openMicrophone(microphone === true ? undefined : microphone);
}

/** Between the attempts to reach a server that does not answer. @param {number} attempt */
function backoffMs(attempt) {
	return Math.min(BACKOFF_FIRST_MS * 2 ** attempt, BACKOFF_MAX_MS) * (0.5 + Math.random() / 2);
}

/** A failure of the network, or of a server that is about to end or to start. @param {unknown} error */
function isPassing(error) {
	return error instanceof PlenumError && ['unreachable', 'disconnected', 'timeout', 'busy'].includes(error.code);
}

/** @param {number} ms */
function sleep(ms) {
	return new Promise((resolve) => setTimeout(resolve, ms));
}

/** @param {number} ms @param {AbortSignal} signal @param {() => void} work */
function every(ms, signal, work) {
	const timer = setInterval(work, ms);
	signal.addEventListener('abort', () => clearInterval(timer));
}

/** One peer connection: the microphone on its way out, and the slots, each with a hidden <audio> that plays it. */
class Media {
	onstate = () => {};
	onblocked = () => {};
	/** Something was changed that no answer has made real yet. */ needsOffer = true;
	#pc = new RTCPeerConnection({ bundlePolicy: 'max-bundle' });
	/** @type {RTCRtpSender|null} */ #sender = null;
	/** @type {{ transceiver: RTCRtpTransceiver, element: HTMLAudioElement }[]} */ #slots = [];
	/** The two samples that rates begin at. @type {[Totals, Totals]|null} */ #totals = null;

	/** @param {number} slots */
	constructor(slots) {
		for (let slot = 0; slot < slots; slot++) {
			const transceiver = this.#pc.addTransceiver('audio', { direction: 'recvonly' });
			this.#slots.push({ transceiver, element: hiddenAudio(transceiver.receiver.track) });
		}
		this.#pc.onconnectionstatechange = () => this.onstate();
		this.#pc.oniceconnectionstatechange = () => this.onstate();
	}

	get state() {
		return this.#pc.connectionState;
	}

	/** ICE can start again; failed DTLS needs a new peer connection. */
	get canRestartIce() {
		return this.#pc.iceConnectionState !== 'connected' && this.#pc.iceConnectionState !== 'completed';
	}

	get canSend() {
		return this.#sender !== null;
	}

	/** @param {MediaStreamTrack|null} track */
	addMicrophone(track) {
		this.#sender = this.#pc.addTransceiver(track ?? 'audio', { direction: 'sendonly' }).sender;
		this.needsOffer = true;
	}

	/**
	 * Null sends nothing at all, where a disabled track would have silence encoded, sent and dropped 50 times a second
	 * for everyone who is muted.  Nor does it cost a syllable: the microphone stays open, and the first packet leaves
	 * some 20 ms after unmuting either way.  (Chromium's RTP clock stands still meanwhile; the server's does not.)
	 * @param {MediaStreamTrack|null} track
	 */
	async send(track) {
		await this.#sender?.replaceTrack(track);
	}

	async offer() {
		await this.#pc.setLocalDescription();
		return this.#pc.localDescription?.sdp;
	}

	/** @param {string} sdp */
	async accept(sdp) {
		await this.#pc.setRemoteDescription({ type: 'answer', sdp });
		this.needsOffer = false;
		this.play(); // not awaited: Firefox resolves it with the first packet
	}

	/** Takes back an offer that was not answered. */
	async rollback() {
		if (this.#pc.signalingState === 'have-local-offer')
			await this.#pc.setLocalDescription({ type: 'rollback' });
	}

	restartIce() {
		this.#pc.restartIce();
		this.needsOffer = true;
	}

	/** Resolves when media flows again, rejects after ms. @param {number} ms */
	async connected(ms) {
		for (const endMs = performance.now() + ms; this.state !== 'connected'; await sleep(CONNECTED_EVERY_MS))
			if (performance.now() > endMs) throw new PlenumError('timeout', 'Media did not come back.');
	}

	async play() {
		try {
			await Promise.all(this.#slots.map(({ element }) => element.play()));
		} catch (error) {
			if (error instanceof DOMException && error.name === 'NotAllowedError') this.onblocked();
		}
	}

	/** @param {string} [mid] */
	#slot(mid) {
		return this.#slots.find(({ transceiver }) => transceiver.mid === mid);
	}

	/** @param {string|undefined} mid @param {number} volume */
	setVolume(mid, volume) {
		const element = this.#slot(mid)?.element;
		if (!element) return;
		element.volume = volume;
		element.muted = volume === 0;
	}

	/** Whose packets a slot plays now, the latest first; undefined while it is silent. @param {string} [mid] */
	heard(mid) {
		const receiver = this.#slot(mid)?.transceiver.receiver;
		if (!receiver) return undefined;
		const isRecent = (/** @type {{ timestamp: number }} */ { timestamp }) => ageMs(timestamp) <= HEARD_LATELY_MS;
		const [stream] = receiver.getSynchronizationSources();
		const talkers = receiver.getContributingSources().filter(isRecent);
		if (talkers.length === 0 && !(stream && isRecent(stream))) return undefined;
		return { sources: talkers.map(({ source }) => source), level: stream?.audioLevel ?? 0 };
	}

	async stats() {
		const now = readStats(await this.#pc.getStats());
		const [older, newer] = this.#totals ?? [now, now];
		// Who asks soon after somebody else did gets a rate, too, and none of a few packets.
		const isLater = now.atMs - newer.atMs >= RATE_MS_MIN;
		if (isLater || !this.#totals) this.#totals = [newer, now];
		return digest(isLater ? newer : older, now);
	}

	/** Grows with whatever the server sends: sound, reports of it, answers to ICE's checks. */
	async arrivals() {
		return readStats(await this.#pc.getStats()).arrivals;
	}

	close() {
		this.onstate = this.onblocked = () => {};
		this.#pc.close();
		for (const { element } of this.#slots) {
			element.srcObject = null;
			element.remove();
		}
	}
}

/** In the document, because some browsers fall silent when they collect an element that is not. @param {MediaStreamTrack} track */
function hiddenAudio(track) {
	const element = document.createElement('audio');
	element.hidden = true;
	element.autoplay = true;
	element.srcObject = new MediaStream([track]);
	document.body.append(element);
	return element;
}

/** Browsers differ in whether such timestamps count from 1970 or from the page's start. @param {number} timestamp */
function ageMs(timestamp) {
	return timestamp > performance.timeOrigin ? performance.timeOrigin + performance.now() - timestamp : performance.now() - timestamp;
}

/** @typedef {ReturnType<typeof readStats>} Totals  Since the start, where two of them make a rate. */

/** @param {ReadonlyMap<string, any>} report an RTCStatsReport */
function readStats(report) {
	/** @type {any[]} */ const items = [...report.values()];
	const all = (/** @type {string} */ type) => items.filter((item) => item.type === type);
	const sum = (/** @type {any[]} */ of, /** @type {string} */ key) =>
		of.reduce((total, item) => total + (item[key] ?? 0), 0);
	const inbound = all('inbound-rtp').filter(({ packetsReceived }) => packetsReceived > 0);
	const pairs = all('candidate-pair');
	const pair = report.get(all('transport')[0]?.selectedCandidatePairId ?? '') ?? pairs.find(({ selected }) => selected)
		?? pairs.find(({ nominated, state }) => nominated && state === 'succeeded');
	const received = sum(inbound, 'packetsReceived');
	return {
		atMs: Math.max(0, ...items.map(({ timestamp }) => timestamp)),
		bytesIn: sum(inbound, 'bytesReceived'),
		bytesOut: sum(all('outbound-rtp'), 'bytesSent'),
		received,
		lost: sum(inbound, 'packetsLost'),
		arrivals: received + sum(all('remote-outbound-rtp'), 'reportsSent') + (pair?.bytesReceived ?? 0)
			+ (pair?.responsesReceived ?? 0),
		jitterMs: inbound.length > 0 ? Math.max(...inbound.map(({ jitter }) => (jitter ?? 0) * 1000)) : null,
		lossOut: all('remote-inbound-rtp')[0]?.fractionLost ?? null,
		tripSeconds: pair?.currentRoundTripTime,
		codec: all('codec')[0]?.mimeType.replace('audio/', '') ?? null,
		local: candidateText(report.get(pair?.localCandidateId ?? '')),
		remote: candidateText(report.get(pair?.remoteCandidateId ?? '')),
	};
}

const NOTHING = readStats(new Map());

/** @param {any} candidate */
function candidateText(candidate) {
	return candidate ? `${candidate.candidateType} ${candidate.address || 'hidden'}:${candidate.port}` : null;
}

/** @param {Totals} before @param {Totals} now @returns {Omit<Stats, 'signalingMs'>} */
function digest(before, now) {
	const seconds = (now.atMs - before.atMs) / 1000;
	const received = now.received - before.received;
	const lost = Math.max(0, now.lost - before.lost);
	return {
		roundTripMs: now.tripSeconds === undefined ? null : now.tripSeconds * 1000,
		lossIn: received + lost > 0 ? lost / (received + lost) : null,
		lossOut: now.lossOut,
		jitterMs: now.jitterMs,
		bitrateIn: seconds > 0 ? (now.bytesIn - before.bytesIn) * 8 / seconds : null,
		bitrateOut: seconds > 0 ? (now.bytesOut - before.bytesOut) * 8 / seconds : null,
		codec: now.codec,
		path: now.local && now.remote ? { local: now.local, remote: now.remote } : null,
	};
}

/** One WebSocket: requests with their answers, and events. */
class Channel {
	onevent = (/** @type {any} */ _event) => {};
	onclose = () => {};
	#socket;
	#idLast = 0;
	/** @type {Map<number, { resolve: (answer: any) => void, reject: (error: PlenumError) => void }>} */ #waiting = new Map();

	/** @param {string} [url] @returns {Promise<Channel>} */
	static async open(url) {
		const socket = new WebSocket(socketUrl(url), PROTOCOL);
		const timer = setTimeout(() => socket.close(), REQUEST_MS);
		/** @type {Channel|null} */
		const channel = await new Promise((resolve) => {
			socket.onopen = () => resolve(new Channel(socket));
			socket.onclose = () => resolve(null);
		});
		clearTimeout(timer);
		if (!channel) throw await whyClosed(url);
		return channel;
	}

	/** @param {WebSocket} socket */
	constructor(socket) {
		this.#socket = socket;
		socket.onmessage = ({ data }) => this.#receive(JSON.parse(data));
		socket.onclose = () => this.close();
	}

	/** @param {Record<string, any>} message @param {number} [timeoutMs] @returns {Promise<any>} the answer */
	request(message, timeoutMs = REQUEST_MS) {
		return new Promise((resolve, reject) => {
			const id = this.tell(message);
			const timer = setTimeout(() => {
				this.#waiting.delete(id);
				reject(new PlenumError('timeout', `The server did not answer "${message.t}" in time.`));
			}, timeoutMs);
			this.#waiting.set(id, {
				resolve: (answer) => (clearTimeout(timer), resolve(answer)),
				reject: (error) => (clearTimeout(timer), reject(error)),
			});
		});
	}

	/** Sends without waiting; returns the message's id. @param {Record<string, any>} message */
	tell(message) {
		const id = ++this.#idLast;
		if (this.#socket.readyState === WebSocket.OPEN) this.#socket.send(JSON.stringify({ ...message, id }));
		return id;
	}

	/** @param {any} message */
	#receive(message) {
		const waiting = this.#waiting.get(message.id);
		if (!waiting) return this.onevent(message);
		this.#waiting.delete(message.id);
		if (message.t === 'err') waiting.reject(new PlenumError(message.code, message.msg));
		else if (message.t === 'refused') waiting.reject(new RefusedError(message));
		else waiting.resolve(message);
	}

	/** Also what happens when the other side closes. */
	close() {
		this.#socket.onmessage = this.#socket.onclose = null;
		this.#socket.close();
		for (const { reject } of this.#waiting.values())
			reject(new PlenumError('disconnected', 'The connection to the server was lost.'));
		this.#waiting.clear();
		const { onclose } = this;
		this.onclose = this.onevent = () => {};
		onclose();
	}
}

/**
 * Why no WebSocket opens: browsers do not tell with which status it was refused, so the same is asked again as a plain request.
 * @param {string} [url]
 */
async function whyClosed(url) {
	const signal = AbortSignal.timeout(REQUEST_MS);
	const response = await fetch(socketUrl(url).replace(/^ws/, 'http'), { cache: 'no-store', signal }).catch(() => null);
	if (response?.status !== 503) return new PlenumError('unreachable', 'The server does not answer.');
	const seconds = Number(response.headers.get('Retry-After')) || UNAVAILABLE_MS / 1000;
	return new RefusedError({ code: 'unavailable', reason: 'The server takes no connections now.',
		retry_after_ms: seconds * 1000 * (1 + Math.random() / 2) });
}

/** @param {string} [url] */
function socketUrl(url) {
	const result = new URL(url ?? '/v1/ws', import.meta.url);
	result.protocol = result.protocol.replace('http', 'ws');
	if (result.pathname === '/') result.pathname = '/v1/ws';
	result.hash = '';
	return result.href;
}

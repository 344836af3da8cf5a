/**
 * Runs in a page before its own scripts, with nothing of this module in reach.  Leaves the page's behaviour as it is, but
 * for one thing: the microphone comes without echo cancellation, noise suppression and gain control, which take
 * a steady tone for noise.  `window.ear` then tells what arrives, whatever the page makes of it.
 */
export function installEar() {
	const LISTEN_MS = 250;
	const AUDIBLE_RMS = 0.01; // -40 dB of full scale; the tones of the tests arrive at 0.07 and more

	const connections = [];
	const firsts = {};
	const note = (name) => (firsts[name] ??= performance.now());

	const Native = window.RTCPeerConnection;
	window.RTCPeerConnection = class RTCPeerConnection extends Native {
		constructor(...args) {
			super(...args);
			connections.push(this);
		}
	};

	if (navigator.mediaDevices) {
		const getUserMedia = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
		const raw = { echoCancellation: false, noiseSuppression: false, autoGainControl: false };
		navigator.mediaDevices.getUserMedia = (constraints) => getUserMedia({ ...constraints,
			audio: constraints.audio && { ...(constraints.audio === true ? {} : constraints.audio), ...raw } });
	}

	document.addEventListener('click', (event) => event.target.closest?.('#join') && note('click'), true);
	const send = WebSocket.prototype.send;
	WebSocket.prototype.send = function (data) {
		if (typeof data === 'string' && data.includes('"t":"join"'))
			note('join');
		return send.call(this, data);
	};

	const receivers = () =>
		connections
			.filter((pc) => pc.connectionState !== 'closed')
			.flatMap((pc) => pc.getReceivers())
			.filter((receiver) => receiver.track.kind === 'audio');

	/* getSynchronizationSources() is about packets that were handed to playout, and costs nothing to ask. */
	const timer = setInterval(() => {
		if (receivers().some((receiver) => receiver.getSynchronizationSources().length > 0)) {
			note('audio');
			clearInterval(timer);
		}
	}, 5);

	/* A recorder hears a track where there is no sound card, too; an AudioContext of Firefox does not. */
	const record = async (track, ms = LISTEN_MS) => {
		const recorder = new MediaRecorder(new MediaStream([track]));
		const chunks = [];
		recorder.ondataavailable = ({ data }) => chunks.push(data);
		const stopped = new Promise((resolve) => (recorder.onstop = resolve));
		recorder.start();
		await new Promise((resolve) => setTimeout(resolve, ms));
		recorder.stop();
		await stopped;
		const file = await new Blob(chunks).arrayBuffer();
		const decoder = new OfflineAudioContext(1, 1, 48000);
		// A slot that nobody has spoken in yet has no audio at all, not even silence.
		const audio = await decoder.decodeAudioData(file).catch(() => null);
		return audio ? audio.getChannelData(0) : new Float32Array(1);
	};
	const recordEnd = async (track) => (await record(track)).subarray(-4800);

	/* The share of the samples' power that is at hz: Goertzel's algorithm. */
	const share = (samples, hz, power) => {
		const step = 2 * Math.cos((2 * Math.PI * hz) / 48000);
		let [s1, s2] = [0, 0];
		for (const sample of samples)
			[s1, s2] = [sample + step * s1 - s2, s1];
		return (2 * (s1 * s1 + s2 * s2 - step * s1 * s2)) / samples.length / power;
	};

	const nameOf = (samples, tones) => {
		const power = samples.reduce((sum, sample) => sum + sample * sample, 0);
		if (Math.sqrt(power / samples.length) < AUDIBLE_RMS)
			return null;
		return tones.find((hz) => share(samples, hz, power) > 0.7) ?? 'something else';
	};

	const chordOf = (samples, tones) => {
		const power = samples.reduce((sum, sample) => sum + sample * sample, 0);
		if (Math.sqrt(power / samples.length) < AUDIBLE_RMS)
			return null;
		const shares = tones.map((hz) => share(samples, hz, power));
		const heard = tones.filter((_, i) => shares[i] > 0.1);
		return heard.join('+') + (shares.reduce((sum, each) => sum + each, 0) < 0.7 ? '?' : '');
	};

	window.ear = {
		connections,
		/** Milliseconds of the page's clock at which things happened first: click, join, audio. */
		firsts,
		/** Which of the tones (in Hz) the receiving tracks play now, sorted; one tone per track, silent ones left out. */
		async tones(all) {
			const names = await Promise.all(receivers().map(async ({ track }) => nameOf(await recordEnd(track), all)));
			return names.filter((name) => name !== null).sort();
		},
		/** The same for tracks that several may be heard in: for each that is audible, its tones, "800+1300", and "?" where
		 * there is more than those. */
		async chords(all) {
			const chords = await Promise.all(receivers().map(async ({ track }) => chordOf(await recordEnd(track), all)));
			return chords.filter((chord) => chord !== null).sort();
		},
		/** Of each receiver, how long samples have waited in its jitter buffer so far: all together in ms, and how many there were. */
		async waited() {
			const stats = await Promise.all(receivers().map((receiver) => receiver.getStats()));
			return stats.map((report) => {
				const { jitterBufferDelay = 0, jitterBufferEmittedCount = 0 } = [...report.values()].find(({ type }) => type === 'inbound-rtp') ?? {};
				return { ms: jitterBufferDelay * 1000, samples: jitterBufferEmittedCount };
			});
		},
		/**
		 * What all tracks together play while `during` runs and for ms: of each tone, how loud it is in each step of 20 ms,
		 * as a share of its median.  What the tracks have of a tone is added up, not their samples: two that play the same one are out
		 * of step, and would be heard as nothing or as one.
		 */
		async watch(tones, ms, during) {
			const STEP = 960;
			const WINDOW = 1920;
			const recording = Promise.all(receivers().map(({ track }) => record(track, ms)));
			await during();
			const tracks = (await recording).filter((samples) => samples.length > 1);
			const length = Math.min(...tracks.map((samples) => samples.length));
			const loudness = (samples, hz) => Math.sqrt(Math.max(0, share(samples, hz, 1)) / WINDOW);
			return tones.map((hz) => {
				const sums = [];
				for (let at = 0; at + WINDOW <= length; at += STEP)
					sums.push(tracks.reduce((sum, samples) => sum + loudness(samples.subarray(at, at + WINDOW), hz), 0));
				const median = [...sums].sort((a, b) => a - b)[sums.length >> 1];
				return { median, shares: sums.map((sum) => sum / median) };
			});
		},
	};
}

/** How many neighbours at most satisfy it: of what `watch()` tells. */
export function longestRun(values, isIn) {
	let [longest, now] = [0, 0];
	for (const value of values) {
		now = isIn(value) ? now + 1 : 0;
		longest = Math.max(longest, now);
	}
	return longest;
}

// @ts-check
/** The microphone as the page holds it: the chosen device, its open track, and the lists to choose from. */

import { openMicrophone } from './plenum.js';
import { Meter } from './meter.js';
import { recall, remember } from './remember.js';

export class Microphones {
	/** @type {MediaStreamTrack|null} */ track = null;
	/** @type {Meter|null} */ meter = null;
	/** @type {string} empty: the system's choice */ deviceId;
	/** Called when the list of devices has changed. */ onchange = () => {};
	/** Called when the browser's no has become a yes. */ onallowed = () => {};
	/** @type {Promise<MediaStreamTrack>|null} */ #opening = null;

	constructor() {
		this.deviceId = recall('microphone');
		navigator.mediaDevices?.addEventListener('devicechange', () => this.onchange());
		this.#watchPermission();
	}

	async #watchPermission() {
		try {
			const permission = await navigator.permissions.query({ name: /** @type {PermissionName} */ ('microphone') });
			permission.onchange = () => permission.state === 'granted' && this.onallowed();
		} catch {
			// Not every browser tells; a reload does the same.
		}
	}

	/** Opens the chosen one; the track is there for the lobby's meter and for the call. Rejects with a MicrophoneError. */
	open() {
		this.#opening ??= this.#open().finally(() => { this.#opening = null; });
		return this.#opening;
	}

	async #open() {
		if (this.track?.readyState === 'live') return this.track;
		this.close();
		const track = await openMicrophone(this.deviceId).catch((error) => {
			// The remembered one is not plugged in today: any other will do.
			if (error.code !== 'missing' || !this.deviceId) throw error;
			this.deviceId = '';
			return openMicrophone();
		});
		this.track = track;
		this.meter = new Meter(track);
		this.onchange();
		return track;
	}

	/** @param {string} deviceId */
	choose(deviceId) {
		this.close();
		this.deviceId = deviceId;
		remember('microphone', deviceId);
		return this.open();
	}

	close() {
		this.meter?.stop();
		this.track?.stop();
		this.meter = this.track = null;
	}

	/** 0 to 1. */
	level() {
		return this.meter?.level() ?? 0;
	}

	/** Fills a <select>; browsers tell names only once a microphone was allowed. @param {HTMLSelectElement} select */
	async list(select) {
		const devices = await navigator.mediaDevices?.enumerateDevices().catch(() => []) ?? [];
		const inputs = devices.filter(({ kind, deviceId }) => kind === 'audioinput' && deviceId && deviceId !== 'default');
		select.replaceChildren(new Option('Default microphone', ''),
			...inputs.map(({ label, deviceId }, at) => new Option(label || `Microphone ${at + 1}`, deviceId)));
		const isThere = inputs.some(({ deviceId }) => deviceId === this.deviceId);
		select.value = isThere ? this.deviceId : '';
	}
}

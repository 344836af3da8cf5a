import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import puppeteer from 'puppeteer-core';
import { writeTone } from './tone.js';

const CHROMIUM = process.env.PLENUM_CHROMIUM ?? '/usr/bin/chromium';
const FIREFOX = process.env.PLENUM_FIREFOX ?? '/usr/bin/firefox-esr';

/* A browser process of its own and its profile.  A page shares its process's fake microphone with all others, so each
 * talker of a test is a browser. */
class Browser {
	constructor(puppet, home) {
		this.puppet = puppet;
		this.home = home;
	}

	newPage() {
		return this.puppet.newPage();
	}

	/** What a crash or a pulled plug is to the server: no page gets to say goodbye.  The driver starts a browser as
	 * the leader of a process group of its own. */
	kill() {
		process.kill(-this.puppet.process().pid, 'SIGKILL');
	}

	async close() {
		await this.puppet.close().catch(() => {}); // it may have been killed
		rmSync(this.home, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 });
	}
}

const newHome = () => mkdtempSync(join(tmpdir(), 'plenum-e2e-'));

/**
 * @param {{toneHz?: number, grantsMicrophone?: boolean}} options toneHz: what its microphone hears.
 */
export async function openChromium({ toneHz, grantsMicrophone = true } = {}) {
	const home = newHome();
	const args = [
		'--no-sandbox', // the tests may run as root, and load our own page only
		'--autoplay-policy=no-user-gesture-required',
		'--allow-loopback-in-peer-connection',
		'--use-fake-device-for-media-stream',
	];
	if (grantsMicrophone)
		args.push('--use-fake-ui-for-media-stream');
	if (toneHz) {
		writeTone(join(home, 'tone.wav'), toneHz);
		args.push(`--use-file-for-fake-audio-capture=${join(home, 'tone.wav')}`);
	}
	const puppet = await puppeteer.launch({
		browser: 'chrome',
		executablePath: CHROMIUM,
		userDataDir: join(home, 'profile'),
		headless: true,
		acceptInsecureCerts: true,
		pipe: true, // it ends with the test, however that ends
		env: { ...process.env, TMPDIR: home },
		args,
	});
	return new Browser(puppet, home);
}

/** Firefox's fake microphone plays one tone. */
export async function openFirefox({ toneHz }) {
	const home = newHome();
	const puppet = await puppeteer.launch({
		browser: 'firefox',
		executablePath: FIREFOX,
		userDataDir: join(home, 'profile'),
		headless: true,
		acceptInsecureCerts: true,
		env: { ...process.env, TMPDIR: home },
		extraPrefsFirefox: {
			'media.navigator.streams.fake': true,
			'media.navigator.audio.fake_frequency': toneHz,
			'media.navigator.permission.disabled': true,
			'media.autoplay.default': 0,
			'media.autoplay.block-webaudio': false,
		},
	});
	return new Browser(puppet, home);
}

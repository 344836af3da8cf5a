/* Firefox and Chromium in one call, over HTTPS, on an interface that is not loopback: `namespace.sh node --test
 * firefox.test.js`. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { figure, screenshot } from './lib/artifacts.js';
import { openChromium, openFirefox } from './lib/browser.js';
import { CallPage, TONES } from './lib/call_page.js';
import { Server } from './lib/server.js';

const ADDRESS = process.env.PLENUM_NAMESPACE;
const skip = ADDRESS ? false : 'Firefox needs an interface that is not loopback: run it by namespace.sh';
const ROOM = 'kitchen';
const [FOX_HZ, ANN_HZ, LIZ_HZ] = TONES;

/* A certificate for the address; the browsers of the tests take any. */
function makeCertificate(folder) {
	const [cert, key] = [join(folder, 'cert.pem'), join(folder, 'key.pem')];
	execFileSync('openssl', ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2',
		'-subj', '/CN=plenum test', '-addext', `subjectAltName=IP:${ADDRESS}`, '-keyout', key, '-out', cert], { stdio: 'pipe' });
	return { cert, key };
}

describe('firefox', { timeout: 120000, skip }, () => {
	let folder;
	let server;
	let browsers;
	let fox, ann, liz;

	before(async () => {
		folder = mkdtempSync(join(tmpdir(), 'plenum-tls-'));
		const { cert, key } = makeCertificate(folder);
		server = await Server.start({ settings: { 'http.listen': `${ADDRESS}:0`, 'http.tls_cert': cert, 'http.tls_key': key,
			'limits.participants': '3' } });
		assert.match(server.url, /^https:/);
		browsers = await Promise.all([
			openFirefox({ toneHz: FOX_HZ }), openChromium({ toneHz: ANN_HZ }), openFirefox({ toneHz: LIZ_HZ }),
		]);
		[fox, ann, liz] = await Promise.all(browsers.map((browser) => CallPage.open(browser, server.url)));
	});

	after(async () => {
		await Promise.all((browsers ?? []).map((browser) => browser.close()));
		await server?.stop();
		rmSync(folder, { recursive: true, force: true });
	});

	it('two of them and a Chromium hear each other, and not themselves', async () => {
		await fox.join({ name: 'Fox', room: ROOM });
		await ann.join({ name: 'Ann', room: ROOM });
		await liz.join({ name: 'Liz', room: ROOM });
		await Promise.all([fox.untilHears(ANN_HZ, LIZ_HZ), ann.untilHears(FOX_HZ, LIZ_HZ), liz.untilHears(ANN_HZ, FOX_HZ)]);
		const { join: joined, audio } = await liz.page.evaluate(() => window.ear.firsts);
		figure(`Firefox: first audio ${Math.round(audio - joined)} ms after the join message`);
	});

	it('see each other speak', async () => {
		await Promise.all([fox.untilTile('Ann', { speaking: true }), ann.untilTile('Fox', { speaking: true }),
			fox.untilTile('Liz', { speaking: true })]);
		await screenshot(fox.page, 'firefox');
	});

	it('mute, unmute and leave reach the other browser', async () => {
		await fox.click('#mute');
		await Promise.all([ann.untilTile('Fox', { muted: true }), ann.untilHears(LIZ_HZ), liz.untilHears(ANN_HZ)]);
		await fox.click('#mute');
		await Promise.all([ann.untilHears(FOX_HZ, LIZ_HZ), liz.untilHears(ANN_HZ, FOX_HZ)]);
		await fox.click('#leave');
		await ann.untilNames('Ann', 'Liz');
		await ann.untilHears(LIZ_HZ);
	});

	it('wait for a place in a full server, and join by themselves', async () => {
		const eve = await CallPage.open(browsers[1], server.url);
		await eve.join({ name: 'Eve', room: ROOM, button: '#listen-only' });
		await fox.click('#join');
		await fox.until('to wait', () => /full.*asking again in/is.test(document.querySelector('#waiting').innerText));
		await screenshot(fox.page, 'firefox-waiting');
		await eve.page.close();
		await fox.untilConnected();
		await fox.untilBanner(/you are in, and can be heard/);
		await Promise.all([fox.untilHears(ANN_HZ, LIZ_HZ), ann.untilHears(FOX_HZ, LIZ_HZ)]);
	});

	it('show the operator how the server is', async () => {
		const status = await CallPage.open(browsers[2], `${server.url}/status.html`);
		await status.until('three people', () => document.querySelector('#fresh').textContent === 'Live'
			&& /People\s*3\b/.test(document.querySelector('#now').innerText));
		await status.page.setViewport({ width: 1280, height: 900 });
		await screenshot(status.page, 'firefox-status', { fullPage: true });
		assert.deepEqual(status.errors, []);
		await status.page.close();
	});

	it('met no error in their scripts', () => {
		assert.deepEqual([fox, ann, liz].flatMap((page) => page.errors), []);
	});
});

/* What goes wrong in real life: the signaling connection breaks, the microphone is refused, the server crashes or
 * ends. */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { figure, screenshot } from './lib/artifacts.js';
import { openChromium } from './lib/browser.js';
import { CallPage, TONES } from './lib/call_page.js';
import { Proxy } from './lib/proxy.js';
import { Server } from './lib/server.js';

const ROOM = 'workshop';
const [ANN_HZ, BOB_HZ] = TONES;
const WORDS_MS_MAX = 1000;
const DARK_MS_MAX = 3000;
const SILENCE_MS = 2000; // long enough for a page to mistake old packets for new ones

describe('trouble', { timeout: 150000 }, () => {
	let server;
	let proxy;
	let browsers;
	let ann, bob, cat;

	before(async () => {
		server = await Server.start();
		proxy = await Proxy.start(server.url);
		browsers = await Promise.all([
			openChromium({ toneHz: ANN_HZ }), openChromium({ toneHz: BOB_HZ }), openChromium({ grantsMicrophone: false }),
		]);
		ann = await CallPage.open(browsers[0], proxy.url);
		bob = await CallPage.open(browsers[1], server.url);
		await ann.join({ name: 'Ann', room: ROOM });
		await bob.join({ name: 'Bob', room: ROOM });
		await Promise.all([ann.untilHears(BOB_HZ), bob.untilHears(ANN_HZ)]);
	});

	after(async () => {
		await Promise.all((browsers ?? []).map((browser) => browser.close()));
		await proxy?.stop();
		await server?.stop();
	});

	it('a broken WebSocket interrupts no word, and comes back by itself', async () => {
		await bob.watchPeers();
		proxy.cut();
		await ann.untilBanner(/reconnecting/);
		await ann.untilBanner(/you still hear each other/);
		await ann.untilTile('Bob', { speaking: true });
		await Promise.all([ann.untilHears(BOB_HZ), bob.untilHears(ANN_HZ)]); // media lives without the socket
		proxy.mend();
		await ann.untilConnected();
		await ann.untilNoBanner();
		await ann.click('#mute'); // the new connection carries requests and events
		await bob.untilTile('Ann', { muted: true });
		assert.deepEqual(await bob.comings(), [], 'nobody saw her leave or come back');
		await ann.click('#mute');
		await bob.untilHears(ANN_HZ);
	});

	it('without a microphone the page says so, and one can listen', async () => {
		cat = await CallPage.open(browsers[2], server.url, (page) => refuseMicrophone(page, server.url));
		await cat.until('words about the microphone', () => /microphone/i.test(document.querySelector('#mic-hint').innerText));
		await screenshot(cat.page, 'microphone-refused');
		await cat.join({ name: 'Cat', room: ROOM, button: '#listen-only' });
		await cat.untilHears(ANN_HZ, BOB_HZ);
		await ann.untilTile('Cat', { muted: true });
		await ann.untilHears(BOB_HZ);
	});

	it('a server that is killed leaves no false hope, and the next one brings the call back', async () => {
		const pages = [ann, bob];
		await Promise.all([ann.untilTile('Bob', { speaking: true }), bob.untilTile('Ann', { speaking: true })]);
		await Promise.all(pages.map((page) => page.watchBanners()));
		const killedAtMs = Date.now();
		await server.kill();
		await Promise.all(pages.flatMap((page) =>
			['Ann', 'Bob'].map((name) => page.untilTile(name, { speaking: false }))));
		const darkMs = Date.now() - killedAtMs;
		assert.ok(darkMs < DARK_MS_MAX, `the tiles were lit for ${darkMs} ms in silence`);
		await new Promise((resolve) => setTimeout(resolve, SILENCE_MS));
		for (const page of pages) {
			const banners = await page.banners();
			assert.deepEqual(banners.map(({ text }) => text), ['The call is interrupted. Reconnecting…']);
			const wordsMs = banners[0].atMs - killedAtMs;
			assert.ok(wordsMs < WORDS_MS_MAX, `words came after ${wordsMs} ms`);
		}
		await screenshot(ann.page, 'server-killed');

		server = await Server.start({ settings: { 'http.listen': `127.0.0.1:${new URL(server.url).port}` } });
		const startedAt = performance.now();
		await Promise.all(pages.map((page) => page.untilNoBanner()));
		await Promise.all([ann.untilHears(BOB_HZ), bob.untilHears(ANN_HZ)]);
		await Promise.all([ann, cat].map((page) => page.untilNames('Ann', 'Bob', 'Cat')));
		figure(`after a kill -9, ${Math.round(performance.now() - startedAt)} ms from the next server's ready to a call`);
	});

	it('a server that takes connections and says nothing can be given up at once', async () => {
		const dan = await CallPage.open(browsers[2], proxy.url);
		await dan.page.evaluate(() => import('/plenum.js'));
		const held = proxy.hold();
		await dan.page.evaluate(async () => {
			const { join } = await import('/plenum.js');
			const giving = new AbortController();
			window.tried = join({ room: 'mute', signal: giving.signal }).catch((error) => error.name);
			window.giveUp = () => giving.abort();
		});
		await held;
		const beganMs = performance.now();
		assert.equal(await dan.page.evaluate(() => (window.giveUp(), window.tried)), 'AbortError');
		const tookMs = performance.now() - beganMs;
		proxy.mend();
		assert.ok(tookMs < WORDS_MS_MAX, `it took ${tookMs} ms`);
		assert.deepEqual(dan.errors, []);
		await dan.page.close();
	});

	it('a server that ends says goodbye and returns 0', async () => {
		assert.deepEqual(await server.stop(), { code: 0, signal: null });
		await Promise.all([ann, bob, cat].map((page) => page.untilBanner(/server/)));
		await screenshot(ann.page, 'server-ended');
	});

	it('met no error in its scripts', () => {
		assert.deepEqual([ann, bob, cat].flatMap((page) => page.errors), []);
	});
});

/** What the browser's question answered with "never" does. */
async function refuseMicrophone(page, url) {
	const session = await page.createCDPSession();
	await session.send('Browser.setPermission', { permission: { name: 'microphone' }, setting: 'denied', origin: url });
}

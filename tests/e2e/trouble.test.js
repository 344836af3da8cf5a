/* What goes wrong in real life: the signaling connection breaks, the microphone is refused, the server ends. */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { screenshot } from './lib/artifacts.js';
import { openChromium } from './lib/browser.js';
import { CallPage, TONES } from './lib/call_page.js';
import { Proxy } from './lib/proxy.js';
import { Server } from './lib/server.js';

const ROOM = 'workshop';
const [ANN_HZ, BOB_HZ] = TONES;

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
		assert.deepEqual(await bob.tones(), [ANN_HZ], 'media lives without the socket');
		assert.deepEqual(await ann.tones(), [BOB_HZ], 'media lives without the socket');
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

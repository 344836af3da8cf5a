/* A server that has no place: what a person is told, and that the wait ends by itself. */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { figure, screenshot } from './lib/artifacts.js';
import { openChromium } from './lib/browser.js';
import { CallPage, TONES } from './lib/call_page.js';
import { inAllLooks } from './lib/looks.js';
import { Server } from './lib/server.js';

const ROOM = 'library';
const [ANN_HZ, BOB_HZ] = TONES;
const REFUSALS = 2; // until a place is made: a page that asks once only would not be found out by one
const WAIT_MS_MAX = 30000;

/** How often the server has said no. */
async function refusals(server) {
	const text = await (await fetch(`${server.url}/metrics`)).text();
	return [...text.matchAll(/^plenum_refusals_total(?:\{.*\})? (\d+)$/gm)].reduce((sum, [, count]) => sum + Number(count), 0);
}

async function untilRefusals(server, count) {
	const endMs = performance.now() + WAIT_MS_MAX;
	while (await refusals(server) < count) {
		assert.ok(performance.now() < endMs, `the server was asked ${await refusals(server)} times of ${count}`);
		await new Promise((resolve) => setTimeout(resolve, 100));
	}
}

describe('a full server', { timeout: 120000 }, () => {
	let server;
	let browsers;
	let ann, bob;

	before(async () => {
		server = await Server.start({ settings: { 'limits.participants': '1' } });
		browsers = await Promise.all([openChromium({ toneHz: ANN_HZ }), openChromium({ toneHz: BOB_HZ })]);
		ann = await CallPage.open(browsers[0], server.url);
		bob = await CallPage.open(browsers[1], server.url);
		await ann.join({ name: 'Ann', room: ROOM });
	});

	after(async () => {
		await Promise.all((browsers ?? []).map((browser) => browser.close()));
		await server?.stop();
	});

	const ask = async () => {
		await bob.typeInto('#name', 'Bob');
		await bob.typeInto('#room', ROOM);
		await bob.click('#join');
	};

	it('is waited for, in words, and the wait can be ended', async () => {
		await ask();
		await bob.untilWaiting(/full[^]*join by yourself[^]*asking again in \d+ second/);
		await inAllLooks(bob, 'waiting', { mustShow: ['#waiting', '#join'] });
		await bob.click('#join');
		await bob.until('the lobby as before', () => document.querySelector('#waiting').hidden
			&& document.querySelector('#join').innerText === 'Join' && document.querySelector('#banner').hidden);
		const asked = await refusals(server);
		await new Promise((resolve) => setTimeout(resolve, 7000)); // longer than the server told it to wait
		assert.equal(await refusals(server), asked, 'who has stopped waiting does not ask');
	});

	it('is joined by itself when there is a place', async () => {
		const before = await refusals(server);
		await ask();
		await untilRefusals(server, before + REFUSALS);
		const leftAt = performance.now();
		await ann.click('#leave');
		await bob.until('Bob is in the call', () => !document.querySelector('#call').hidden);
		await bob.untilConnected();
		figure(`who waited is connected ${Math.round(performance.now() - leftAt)} ms after a place was there`);
		await bob.untilBanner(/you are in, and can be heard/);
		await screenshot(bob.page, 'waited-and-in');
		await bob.untilNames('Bob');
	});

	it('that is started again is still waited for', async () => {
		await ann.click('#join'); // now it is she who waits
		await ann.untilWaiting(/full/);
		const { port } = new URL(server.url);
		await bob.page.close();
		await server.kill();
		await ann.until('to ask a server that is not there', () => /asking…/i.test(document.querySelector('#waiting').innerText));
		server = await Server.start({ settings: { 'http.listen': `127.0.0.1:${port}` } });
		await ann.untilConnected();
		await ann.untilNames('Ann');
	});

	it('met no error in its scripts', () => {
		assert.deepEqual([ann, bob].flatMap((page) => page.errors), []);
	});
});

describe('a server without a place for another WebSocket', { timeout: 60000 }, () => {
	it('is waited for, too', async () => {
		const server = await Server.start({ settings: { 'limits.connections': '1' } });
		const browser = await openChromium({ toneHz: ANN_HZ });
		try {
			const ann = await CallPage.open(browser, server.url);
			await ann.join({ name: 'Ann', room: ROOM });
			const bob = await CallPage.open(browser, server.url);
			await bob.typeInto('#name', 'Bob');
			await bob.typeInto('#room', ROOM);
			await bob.click('#join');
			await bob.untilWaiting(/takes no connections now/);
			await ann.page.close();
			await bob.untilConnected();
		} finally {
			await browser.close();
			await server.stop();
		}
	});
});

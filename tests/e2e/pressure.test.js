/* A server that takes something away for a while: what a person is told, that nobody is cut off, and that it ends by itself. */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { figure, screenshot } from './lib/artifacts.js';
import { openChromium } from './lib/browser.js';
import { CallPage, TONES } from './lib/call_page.js';
import { longestRun } from './lib/ear.js';
import { inAllLooks } from './lib/looks.js';
import { Proxy } from './lib/proxy.js';
import { Server } from './lib/server.js';

const ROOM = 'library';
const [ANN_HZ, BOB_HZ] = TONES;
const ADMIN_TOKEN = 'a-token-for-the-tests-alone';
const STEP_MS = 20;        // of ear.watch()
const WATCH_MS = 9000;
const SETTLE_MS = 1000;
const CUT_MS = 2500;
const QUIET_MS_MAX = 200;  // a machine that stutters is silent for as long; a call that began anew for much longer

describe('a pressed server', { timeout: 120000 }, () => {
	let server;
	let proxy;
	let browsers;
	let ann, bob, cat, player;

	before(async () => {
		server = await Server.start({ settings: { 'admin.token': ADMIN_TOKEN } });
		browsers = await Promise.all([openChromium({ toneHz: ANN_HZ }), openChromium({ toneHz: BOB_HZ }), openChromium()]);
		proxy = await Proxy.start(server.url);
		ann = await CallPage.open(browsers[0], proxy.url);
		bob = await CallPage.open(browsers[1], server.url);
		cat = await CallPage.open(browsers[2], server.url);
		await ann.join({ name: 'Ann', room: ROOM });
		await bob.join({ name: 'Bob', room: ROOM });
		await Promise.all([ann.untilHears(BOB_HZ), bob.untilHears(ANN_HZ)]);
	});

	after(async () => {
		await Promise.all((browsers ?? []).map((browser) => browser.close()));
		await proxy?.stop();
		await server?.stop();
	});

	/** As an operator does.  What the load asks for depends on what else this machine does. */
	const force = async (level) => {
		const response = await fetch(`${server.url}/v1/admin/media`, { method: 'POST', body: JSON.stringify({ pressure_level: level }),
			headers: { Authorization: `Bearer ${ADMIN_TOKEN}`, 'Content-Type': 'application/json' } });
		assert.equal(response.status, 200, await response.text());
	};

	const untilStrip = (page, pattern) => page.until(`a line like ${pattern}`, (source) => {
		const strip = document.querySelector('#pressure');
		return !strip.hidden && new RegExp(source, 'i').test(strip.innerText);
	}, pattern.source);
	const untilNoStrip = (page) => page.until('no line', () => document.querySelector('#pressure').hidden);

	it('says in the call what it has taken, and in the panel all of it', async () => {
		await force('critical');
		await Promise.all([ann, bob].map((page) => untilStrip(page, /limit.*only the loudest voice.*nobody new gets in/)));
		await ann.click('#panel-toggle');
		await ann.until('the whole list', () => document.querySelectorAll('#taken-list li').length >= 6);
		await inAllLooks(ann, 'degraded-panel');
		await ann.click('#panel-close');
		await inAllLooks(ann, 'degraded', { mustShow: ['#pressure', '#mute', '#leave'] });
		await Promise.all([ann.untilHears(BOB_HZ), bob.untilHears(ANN_HZ)]);
	});

	it('keeps who wants in waiting, with the reason', async () => {
		await cat.typeInto('#name', 'Cat');
		await cat.typeInto('#room', ROOM); // it is there: only at a higher level nobody new gets in
		await cat.click('#listen-only');
		await cat.untilWaiting(/too busy to take anybody in/);
		await screenshot(cat.page, 'waiting-pressure');
		player = await CallPage.open(browsers[2], `${server.url}/whip.html#${ROOM}`);
		await player.click('#play');
		await player.until('the player to wait', () => /asking again in \d+ s/i.test(document.querySelector('#state').textContent));
		await screenshot(player.page, 'waiting-whep');
	});

	it('lets whoever lost the WebSocket go on, and the sound never stops', async () => {
		const listening = Promise.all([[ann, BOB_HZ], [bob, ANN_HZ]].map(([page, hz]) => page.page.evaluate(
			(tone, ms) => window.ear.watch([tone], ms, async () => {}), hz, WATCH_MS)));
		await bob.watchPeers();
		await new Promise((resolve) => setTimeout(resolve, SETTLE_MS));
		proxy.cut();
		await ann.untilBanner(/you still hear each other/);
		await new Promise((resolve) => setTimeout(resolve, CUT_MS));
		proxy.mend();
		await ann.untilConnected();
		await ann.untilNoBanner();
		const quietMs = (await listening).map(([{ median, shares }]) => {
			assert.ok(median > 0.05, 'there was a voice to miss');
			return longestRun(shares.slice(SETTLE_MS / STEP_MS), (share) => share < 0.3) * STEP_MS;
		});
		figure(`a WebSocket cut for ${CUT_MS} ms under pressure: the longest silence was ${quietMs} ms`);
		assert.ok(Math.max(...quietMs) <= QUIET_MS_MAX, `silences of ${quietMs} ms`);
		assert.deepEqual(await bob.comings(), [], 'nobody saw her leave or come back');
		assert.equal(await cat.page.$eval('#waiting', ({ hidden }) => hidden), false, 'others are still kept waiting');
		await untilStrip(ann, /limit/);
	});

	it('gives back what one notices first, and does not call that everything', async () => {
		await force('elevated');
		await Promise.all([ann, bob].map((page) => untilStrip(page, /hear all that you did before.*still busy.*milliseconds longer/)));
		await screenshot(ann.page, 'degraded-nearly-back');
		await Promise.all([ann, bob].map(untilNoStrip));
		assert.equal(await ann.page.$eval('#taken', ({ hidden }) => hidden), false, 'the panel knows what is still taken');
	});

	it('gives all back, says so, and takes in who waited', async () => {
		await force('nominal');
		await Promise.all([ann, bob].map((page) => untilStrip(page, /everything is back/)));
		await screenshot(ann.page, 'degraded-back');
		await Promise.all([ann, bob].map(untilNoStrip));
		assert.equal(await ann.page.$eval('#taken', ({ hidden }) => hidden), true);
		await player.until('the room to be played', () => document.querySelector('#whip').dataset.connection === 'connected');
		await player.page.close();
		await cat.untilConnected();
		await cat.untilHears(ANN_HZ, BOB_HZ);
	});

	it('asks in an emergency those to go who never talked, and has them back by itself', async () => {
		await force('emergency');
		await cat.untilBanner(/overloaded.*back as soon as there is a place/);
		await screenshot(cat.page, 'asked-to-go');
		await cat.untilBanner(/call is interrupted.*too busy/);
		await ann.untilNames('Ann', 'Bob');
		await Promise.all([ann.untilHears(BOB_HZ), bob.untilHears(ANN_HZ)]);
		await force('nominal');
		await cat.untilConnected();
		await cat.untilNoBanner();
		await cat.untilHears(ANN_HZ, BOB_HZ);
		await ann.untilNames('Ann', 'Bob', 'Cat');
	});

	it('met no error in its scripts', () => {
		assert.deepEqual([ann, bob, cat, player].flatMap((page) => page.errors), []);
	});
});

/* Three people talk through the real page in Chromium, each with a tone of their own for a voice, while a fourth comes
 * and goes.  What is proved is what they would notice: who hears whom, who is seen, and how soon. */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { figure, screenshot } from './lib/artifacts.js';
import { openChromium } from './lib/browser.js';
import { CallPage, TONES } from './lib/call_page.js';
import { Server } from './lib/server.js';

const ROOM = 'Küche & Flur';
const VIEWPORT = { width: 1100, height: 720 };
const [ANN_HZ, BOB_HZ, EVE_HZ] = TONES;

describe('three pages', { timeout: 180000 }, () => {
	let server;
	let browsers;
	let ann, bob, eve;

	before(async () => {
		server = await Server.start();
		browsers = await Promise.all([
			openChromium({ toneHz: ANN_HZ }), openChromium({ toneHz: BOB_HZ }), openChromium({ toneHz: EVE_HZ }),
			openChromium(),
		]);
		[ann, bob, eve] = await Promise.all(browsers.slice(0, 3).map((browser) => CallPage.open(browser, server.url)));
		await ann.page.setViewport(VIEWPORT);
		figure(`ready ${server.readyMs} ms after exec`);
	});

	after(async () => {
		await Promise.all((browsers ?? []).map((browser) => browser.close()));
		await server?.stop();
	});

	it('join by the lobby, and hear each other but not themselves', async () => {
		await ann.join({ name: 'Ann', room: ROOM });
		await ann.untilNames('Ann');
		await bob.join({ name: 'Bob', room: ROOM });
		await eve.join({ name: 'Eve', room: ROOM });
		await Promise.all([ann, bob, eve].map((page) => page.untilNames('Ann', 'Bob', 'Eve')));
		await Promise.all([ann.untilHears(BOB_HZ, EVE_HZ), bob.untilHears(ANN_HZ, EVE_HZ), eve.untilHears(ANN_HZ, BOB_HZ)]);
	});

	it('hear the first sound soon after the click', async () => {
		for (const [name, page] of [['Bob', bob], ['Eve', eve]]) {
			const { click, join, audio } = await page.page.evaluate(() => window.ear.firsts);
			assert.ok(click <= join && join < audio, 'the click comes first, then the message, then the sound');
			figure(`${name}: first audio ${Math.round(audio - click)} ms after the click, ${Math.round(audio - join)} ms after the join message`);
		}
	});

	it('know by the packets alone whose voice is in a slot', async () => {
		const names = await ann.page.evaluate(() =>
			window.plenum.call.heard().map(({ peer }) => peer?.name).filter(Boolean).sort());
		assert.deepEqual(names, ['Bob', 'Eve']);
	});

	it('light the tiles of those who speak', async () => {
		for (const name of ['Bob', 'Eve'])
			await ann.untilTile(name, { speaking: true, muted: false });
		await screenshot(ann.page, 'three-pages');
	});

	it('see somebody come by the shared link, and go', async () => {
		await ann.page.evaluate(() => (navigator.clipboard.writeText = async (text) => (window.copied = text)));
		await ann.click('#share');
		const link = await ann.until('a link', () => window.copied);
		const dan = await CallPage.open(browsers[3], link);
		assert.equal(await dan.page.$eval('#room', (input) => input.value), ROOM);
		await dan.join({ name: 'Dan', button: '#listen-only' });
		await ann.untilTile('Dan', { muted: true });
		await dan.untilHears(ANN_HZ, BOB_HZ, EVE_HZ);
		await ann.watchPeers();
		await dan.click('#leave');
		await ann.until('Dan is gone', () => window.comings.some(({ op, name }) => op === 'leave' && name === 'Dan'));
	});

	it('show the connection in the panel', async () => {
		await ann.click('#panel-toggle');
		await ann.until('figures in the panel', () => {
			const text = (name) => document.querySelector(`#panel [data-stat=${name}]`).textContent;
			return /connected/i.test(text('state')) && ['rtt', 'loss', 'jitter', 'in', 'out'].every((name) => /\d/.test(text(name)));
		});
		await screenshot(ann.page, 'panel');
		// Two voices of 32 kbit/s or more come in; whoever asks, and however often, is told so.
		const asked = await ann.page.evaluate(async () => {
			const all = [];
			for (let i = 0; i < 20; i++) all.push(await window.plenum.call.stats());
			return all.map(({ bitrateIn, bitrateOut }) => [bitrateIn, bitrateOut].map(Math.round));
		});
		assert.ok(asked.every((rates) => rates.every((rate) => rate > 15000 && rate < 300000)), `${asked.join(' ')}`);
		await ann.click('#panel-toggle');
	});

	it('do not hear who is muted, and see it', async () => {
		await bob.click('#mute');
		await ann.untilTile('Bob', { muted: true, speaking: false });
		await Promise.all([ann.untilHears(EVE_HZ), eve.untilHears(ANN_HZ)]);
		await bob.click('#mute');
		await eve.untilTile('Bob', { muted: false, speaking: true });
		await Promise.all([ann.untilHears(BOB_HZ, EVE_HZ), eve.untilHears(ANN_HZ, BOB_HZ)]);
	});

	it('are silenced by the server, whatever their page sends', async () => {
		await bob.page.evaluate(async () => {
			const call = window.plenum.call;
			const senders = window.ear.connections.flatMap((pc) => pc.getSenders()).filter((sender) => sender.track);
			const tracks = senders.map((sender) => sender.track.clone());
			await call.mute(true);
			await Promise.all(senders.map((sender, i) => sender.replaceTrack(tracks[i])));
		});
		const sent = () => bob.page.evaluate(async () => {
			const reports = await Promise.all(window.ear.connections.map((pc) => pc.getStats()));
			return reports.flatMap((report) => [...report.values()]).filter(({ type }) => type === 'outbound-rtp')
				.reduce((sum, { packetsSent }) => sum + packetsSent, 0);
		});
		const before = await sent();
		await Promise.all([ann.untilHears(EVE_HZ), eve.untilHears(ANN_HZ)]);
		assert.ok(await sent() > before, 'the muted page went on sending');
		await bob.page.evaluate(() => window.plenum.call.mute(false));
		await ann.untilHears(BOB_HZ, EVE_HZ);
	});

	it('see and hear that one leaves', async () => {
		await eve.click('#leave');
		await eve.until('the lobby again', () => !document.querySelector('#lobby').hidden);
		await ann.until('Eve is gone', () => window.comings.some(({ op, name }) => op === 'leave' && name === 'Eve'));
		await Promise.all([ann.untilHears(BOB_HZ), bob.untilHears(ANN_HZ)]);
		assert.deepEqual(await ann.comings(), [
			{ op: 'leave', name: 'Dan', reason: 'left' },
			{ op: 'leave', name: 'Eve', reason: 'left' },
		]);
		await ann.untilNames('Ann', 'Bob');
	});

	it('met no error in their scripts', () => {
		assert.deepEqual([ann, bob, eve].flatMap((page) => page.errors), []);
	});
});

/* A server that is about to end: with another one to go to the call moves there, without one it goes on until the end. */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { figure, screenshot } from './lib/artifacts.js';
import { openChromium } from './lib/browser.js';
import { CallPage, TONES } from './lib/call_page.js';
import { Server } from './lib/server.js';

const ROOM = 'pier';
const [ANN_HZ, BOB_HZ] = TONES;
const ADMIN_TOKEN = 'a-token-for-the-tests-alone';
const DEADLINE_S = 8;

async function drain(server) {
	const response = await fetch(`${server.url}/v1/admin/drain`, { method: 'POST', body: JSON.stringify({ deadline_s: DEADLINE_S }),
		headers: { Authorization: `Bearer ${ADMIN_TOKEN}`, 'Content-Type': 'application/json' } });
	assert.equal(response.status, 200, await response.text());
}

function untilJourney(page, pattern) {
	return page.until(`a line like ${pattern}`, (source) => {
		const strip = document.querySelector('#journey');
		return !strip.hidden && new RegExp(source, 'i').test(strip.innerText);
	}, pattern.source);
}

async function openCall(server, browsers) {
	const pages = await Promise.all(browsers.map((browser) => CallPage.open(browser, server.url)));
	const names = ['Ann', 'Bob'];
	for (const [i, page] of pages.entries()) await page.join({ name: names[i], room: ROOM });
	await Promise.all([pages[0].untilHears(BOB_HZ), pages[1].untilHears(ANN_HZ)]);
	return pages;
}

describe('a server that ends', { timeout: 150000 }, () => {
	let browsers;
	let ann, bob, cat;
	let server, other;

	before(async () => {
		browsers = await Promise.all([openChromium({ toneHz: ANN_HZ }), openChromium({ toneHz: BOB_HZ }), openChromium()]);
		other = await Server.start();
	});

	after(async () => {
		await Promise.all((browsers ?? []).map((browser) => browser.close()));
		await Promise.all([server, other].map((each) => each?.stop()));
	});

	it('moves its calls to the server that it names, and ends when they are gone', async () => {
		server = await Server.start({ settings: { 'admin.token': ADMIN_TOKEN, 'drain.move_to': other.url } });
		[ann, bob] = await openCall(server, browsers.slice(0, 2));
		await Promise.all([ann.watchBanners(), bob.watchBanners()]);
		const begunAt = performance.now();
		await drain(server);
		const { host } = new URL(other.url);
		await Promise.all([ann, bob].map((page) => untilJourney(page, new RegExp(`has moved to ${host}`))));
		await screenshot(ann.page, 'moved');
		await Promise.all([ann.untilNames('Ann', 'Bob'), bob.untilNames('Ann', 'Bob')]);
		await Promise.all([ann.untilHears(BOB_HZ), bob.untilHears(ANN_HZ)]);
		figure(`two people hear each other on the next server ${Math.round(performance.now() - begunAt)} ms after a drain began`);
		assert.deepEqual(await server.exited, { code: 0, signal: null });
		assert.ok(performance.now() - begunAt < DEADLINE_S * 1000, 'before the deadline');
		for (const page of [ann, bob]) {
			assert.equal(await page.page.evaluate(() => window.plenum.call.server), other.url);
			assert.deepEqual(await page.banners(), [], 'nobody was told of an interruption');
		}
		await ann.click('#mute'); // the new connection carries requests and events
		await bob.untilTile('Ann', { muted: true });
		await ann.click('#leave');
		await bob.untilNames('Bob');
		await bob.click('#leave');
	});

	it('without another one lets the call go on until its end, and takes nobody in', async () => {
		server = await Server.start({ settings: { 'admin.token': ADMIN_TOKEN } });
		[ann, bob] = await openCall(server, browsers.slice(0, 2));
		const endsAt = performance.now() + DEADLINE_S * 1000;
		await drain(server);
		await Promise.all([ann, bob].map((page) => untilJourney(page, /server ends in .*until then the call goes on/)));
		await screenshot(ann.page, 'draining');
		cat = await CallPage.open(browsers[2], server.url);
		await cat.typeInto('#name', 'Cat');
		await cat.typeInto('#room', ROOM);
		await cat.click('#listen-only');
		await cat.until('to wait', () => /about to end/.test(document.querySelector('#waiting').innerText));
		await Promise.all([ann.untilHears(BOB_HZ), bob.untilHears(ANN_HZ)]);
		assert.ok(performance.now() < endsAt, 'all that was before the end');
		await Promise.all([ann, bob].map((page) => page.untilBanner(/server has ended/)));
		assert.deepEqual(await server.exited, { code: 0, signal: null });
	});

	it('is gone back to when it is there again, by those who were in the call and by who waited', async () => {
		const { port } = new URL(server.url);
		server = await Server.start({ settings: { 'http.listen': `127.0.0.1:${port}` } });
		await Promise.all([ann, bob, cat].map((page) => page.untilConnected()));
		await Promise.all([ann.untilHears(BOB_HZ), bob.untilHears(ANN_HZ), cat.untilHears(ANN_HZ, BOB_HZ)]);
		await ann.untilNoBanner();
	});

	it('and one that is pressed sends those whom it refuses to the other one, and waits for both', async () => {
		const pressed = await Server.start({ settings: { 'pressure.level': 'critical', 'drain.move_to': other.url } });
		const full = await Server.start({ settings: { 'pressure.level': 'critical', 'drain.move_to': pressed.url } });
		try {
			const join = async (from, name) => {
				const page = await CallPage.open(browsers[2], from.url);
				await page.typeInto('#name', name);
				await page.typeInto('#room', 'valley');
				await page.click('#listen-only');
				return page;
			};
			const eve = await join(pressed, 'Eve');
			await eve.untilConnected();
			assert.equal(await eve.page.evaluate(() => window.plenum.call.server), other.url);
			assert.equal(await eve.page.$eval('#waiting', ({ hidden }) => hidden), true);

			// The other one has no place either: then there is a wait, and the first is asked again.
			const dan = await join(full, 'Dan');
			await dan.until('to wait', () => /too busy/.test(document.querySelector('#waiting').innerText));
			const refusals = async ({ url }) => Number(/^plenum_refusals_total\{reason="pressure"\} (\d+)$/m
				.exec(await (await fetch(`${url}/metrics`)).text())[1]);
			await dan.until('to ask again', async () => /asking again in \d/i.test(document.querySelector('#waiting').innerText));
			const endMs = performance.now() + 30000;
			while (await refusals(full) < 2 || await refusals(pressed) < 3) {
				assert.ok(performance.now() < endMs, `asked ${await refusals(full)} and ${await refusals(pressed)} times`);
				await new Promise((resolve) => setTimeout(resolve, 200));
			}
			assert.deepEqual([...eve.errors, ...dan.errors], []);
			await Promise.all([eve, dan].map(({ page }) => page.close()));
		} finally {
			await Promise.all([pressed, full].map((each) => each.stop()));
		}
	});

	it('met no error in its scripts', () => {
		assert.deepEqual([ann, bob, cat].flatMap((page) => page.errors), []);
	});
});

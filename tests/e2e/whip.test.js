/* A browser publishes by WHIP and another plays by WHEP, with whip.html and against the real server, while a third is in
 * the room's call: what is proved is who hears whom, also over an ICE restart, and what each page shows. */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { figure, screenshot } from './lib/artifacts.js';
import { openChromium } from './lib/browser.js';
import { CallPage, TONES } from './lib/call_page.js';
import { faintTexts, misfits } from './lib/looks.js';
import { Server } from './lib/server.js';

const ROOM = 'Küche & Flur';
const [CAM_HZ, ANN_HZ] = TONES;
const VIEWPORT = { width: 640, height: 900 };

describe('whip.html', { timeout: 180000 }, () => {
	let server;
	let browsers;
	let cam, player, ann;

	const openWhip = async (browser) => {
		const page = await CallPage.open(browser, `${server.url}/whip.html#${encodeURIComponent(ROOM)}`);
		await page.page.setViewport(VIEWPORT);
		return page;
	};
	const untilState = (page, pattern) => page.until(`a state like ${pattern}`,
		(source) => new RegExp(source, 'i').test(document.querySelector('#state').textContent), pattern.source);
	const etag = (page) => page.page.$eval('#etag', ({ textContent }) => textContent);

	before(async () => {
		server = await Server.start();
		browsers = await Promise.all([
			openChromium({ toneHz: CAM_HZ }), openChromium({ toneHz: ANN_HZ }), openChromium(),
		]);
		cam = await openWhip(browsers[0]);
		ann = await CallPage.open(browsers[1], server.url);
		player = await openWhip(browsers[2]);
	});

	after(async () => {
		await Promise.all((browsers ?? []).map((browser) => browser.close()));
		await server?.stop();
	});

	it('fits a phone, and can be read by day and night', async () => {
		await player.page.setViewport({ width: 320, height: 640 });
		for (const value of ['light', 'dark']) {
			await player.page.emulateMediaFeatures([{ name: 'prefers-color-scheme', value }]);
			await screenshot(player.page, `whip-320-${value}`, { fullPage: true });
			assert.deepEqual([...await player.page.evaluate(misfits), ...await player.page.evaluate(faintTexts)], [], value);
		}
		await player.page.emulateMediaFeatures([]);
		await player.page.setViewport(VIEWPORT);
	});

	it('publishes a microphone into a call', async () => {
		await ann.join({ name: 'Ann', room: ROOM });
		await ann.watchPeers();
		assert.equal(await cam.page.$eval('#room', ({ value }) => value), ROOM);
		await cam.typeInto('#name', 'Cam ü');
		const clickedAt = performance.now();
		await cam.click('#publish');
		await untilState(cam, /you are heard/);
		figure(`whip.html: connected ${Math.round(performance.now() - clickedAt)} ms after the click`);
		await ann.untilTile('Cam ü', { muted: false });
		await ann.untilHears(CAM_HZ);
		await screenshot(cam.page, 'whip-publish');
	});

	it('plays a room, each voice in a slot of its own', async () => {
		await player.click('#play');
		await untilState(player, /what the room says/);
		await player.untilHears(CAM_HZ, ANN_HZ);
		await player.until('two of three bars to move', () => {
			const levels = [...document.querySelectorAll('#voices li')].map(({ style }) => style.getPropertyValue('--level'));
			return levels.map((level) => Number(level) > 0.05).sort().join() === 'false,true,true';
		});
		await screenshot(player.page, 'whip-play');
		await ann.untilNames('Ann', 'Cam ü', 'Guest');
	});

	it('plays a room in one stream when a mix is chosen', async () => {
		const listener = await openWhip(browsers[2]);
		await listener.page.$eval('#audio input[value=mixed]', (radio) => radio.click());
		assert.match(await listener.page.$eval('#audio-hint', ({ textContent }) => textContent), /one stream/);
		await listener.click('#play');
		await listener.untilChords([CAM_HZ, ANN_HZ].sort().join('+'));
		assert.deepEqual(await listener.page.$$eval('#voices li', (bars) => bars.length), 1);
		assert.ok(await listener.page.$eval('#audio', ({ disabled }) => disabled), 'it holds for the session');
		await screenshot(listener.page, 'whip-play-mixed');
		await listener.page.reload();
		assert.ok(await listener.page.$eval('#audio input[value=mixed]', ({ checked }) => checked), 'it is remembered');
		await listener.page.evaluate(() => localStorage.clear());
		await listener.page.close();
		await player.page.bringToFront();
		await ann.untilNames('Ann', 'Cam ü', 'Guest');
	});

	it('asks again when too many have come at once, as when there is no place', async () => {
		const listener = await CallPage.open(browsers[2], `${server.url}/whip.html#${encodeURIComponent(ROOM)}`,
			// As the server says it to an address that is not of its own machine.
			(page) => page.evaluateOnNewDocument(() => {
				const { fetch } = window;
				const refusals = [{ body: { retry_after_ms: 1500 }, seconds: 9 }, { body: {}, seconds: 1 }];
				window.asked = [];
				window.fetch = (url, init) => {
					window.asked.push(performance.now());
					const refusal = init.method === 'POST' && refusals.shift();
					return refusal ? Promise.resolve(new Response(JSON.stringify({ code: 'rate', msg: 'Too many joins.', ...refusal.body }),
						{ status: 429, headers: { 'Retry-After': String(refusal.seconds) } })) : fetch(url, init);
				};
			}));
		await listener.click('#play');
		await untilState(listener, /too many joins\. asking again in \d s/);
		await untilState(listener, /what the room says/);
		const [first, second, third] = await listener.page.evaluate(() => window.asked);
		assert.ok(second - first >= 1499 && second - first < 8000, `the body says it more exactly: ${second - first} ms`);
		assert.ok(third - second >= 999, `${third - second} ms`);
		await listener.page.close();
		await player.page.bringToFront();
		await ann.untilNames('Ann', 'Cam ü', 'Guest');
	});

	const restart = async () => {
		const before = await Promise.all([cam, player].map(etag));
		await Promise.all([cam, player].map(({ page }) => page.evaluate(() => window.whip.restart())));
		const after = await Promise.all([cam, player].map(etag));
		assert.ok(before.every((tag, i) => tag && after[i] && tag !== after[i]), `${before} became ${after}`);
		// Checks with the new credentials have been answered when the pair in use is one of the new generation.
		for (const { page } of [cam, player]) {
			await page.waitForFunction(async (tag) => {
				const stats = [...(await window.ear.connections.at(-1).getStats()).values()];
				const transport = stats.find(({ type }) => type === 'transport');
				const pair = stats.find(({ id }) => id === transport.selectedCandidatePairId);
				const remote = stats.find(({ id }) => id === pair?.remoteCandidateId);
				return transport.iceState === 'connected' && `"${remote?.usernameFragment}"` === tag;
			}, { timeout: 20000, polling: 100 }, await page.$eval('#etag', ({ textContent }) => textContent));
		}
	};

	it('goes on over ICE restarts', async () => {
		for (let i = 0; i < 4; i++) await restart(); // what a browser checks before it has the answer differs each time
		await Promise.all([player.untilHears(CAM_HZ, ANN_HZ), ann.untilHears(CAM_HZ)]);
	});

	it('says what the server says', async () => {
		const other = await openWhip(browsers[2]);
		await other.page.evaluate(() => (document.querySelector('#room').value = 'a\u0001b'));
		await other.click('#play');
		await untilState(other, /url\.room.*control character/);
		await other.page.close();
	});

	it('leaves by its button, and when its page is closed', async () => {
		await cam.click('#stop');
		await ann.until('Cam is gone', () => window.comings.some(({ op, name }) => op === 'leave' && name === 'Cam ü'));
		await player.untilHears(ANN_HZ);
		assert.equal(await cam.page.$eval('#publish', (publish) => publish.checkVisibility()), true);
		await player.page.close();
		await ann.untilNames('Ann');
		const leaves = (await ann.comings()).filter(({ op }) => op === 'leave');
		assert.deepEqual(leaves.map(({ reason }) => reason), ['left', 'left', 'left', 'left'], 'the two who came for a while, too');
	});

	it('met no error in its scripts', () => {
		assert.deepEqual([cam, player, ann].flatMap((page) => page.errors), []);
	});
});

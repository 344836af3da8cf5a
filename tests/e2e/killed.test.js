/* A browser that is killed says no goodbye: the others see it leave when its consent has run out. */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { figure } from './lib/artifacts.js';
import { openChromium } from './lib/browser.js';
import { CallPage, TONES } from './lib/call_page.js';
import { Server } from './lib/server.js';

const ROOM = 'cellar';
const [ANN_HZ] = TONES;
const LOST_MS_MAX = 60000; // consent runs out after 30 s (RFC 7675 section 5.1)

describe('a killed browser', { timeout: 120000 }, () => {
	let server;
	let browsers;
	let ann, dan;

	before(async () => {
		server = await Server.start();
		browsers = await Promise.all([openChromium({ toneHz: ANN_HZ }), openChromium()]);
		[ann, dan] = await Promise.all(browsers.map((browser) => CallPage.open(browser, server.url)));
		await ann.join({ name: 'Ann', room: ROOM });
		await dan.join({ name: 'Dan', room: ROOM, button: '#listen-only' });
		await ann.untilNames('Ann', 'Dan');
		await dan.untilHears(ANN_HZ);
	});

	after(async () => {
		await Promise.all((browsers ?? []).map((browser) => browser.close()));
		await server?.stop();
	});

	it('is seen to leave when its consent has run out', async () => {
		await ann.watchPeers();
		browsers[1].kill();
		const killedAt = performance.now();
		await ann.untilWithin(LOST_MS_MAX, 'Dan is gone', () => window.comings.some(({ name }) => name === 'Dan'));
		figure(`a killed browser was gone after ${((performance.now() - killedAt) / 1000).toFixed(1)} s`);
		assert.deepEqual(await ann.comings(), [{ op: 'leave', name: 'Dan', reason: 'lost' }]);
		await ann.untilNames('Ann');
		assert.deepEqual(ann.errors, []);
	});
});

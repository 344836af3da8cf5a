/* The page for everybody: on a phone, in the dark, by keyboard alone, and with names in every script. */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { screenshot } from './lib/artifacts.js';
import { openChromium } from './lib/browser.js';
import { CallPage } from './lib/call_page.js';
import { faintTexts, focus, misfits } from './lib/looks.js';
import { Server } from './lib/server.js';

const ROOM = 'attic';
const PHONES = [[320, 568], [360, 640], [390, 844], [640, 360]];
const DESK = { width: 1100, height: 720 };
const CONTROLS = ['#mute', '#panel-toggle', '#leave', '#share'];
const LONG = 'Donaudampfschifffahrtsgesellschaftskapitänswitwenrente'; // nothing to break it at
const HAN_THAT_FIT = 42; // 128 bytes of 3 each
const CROWD = 14;        // more than get a tile

describe('the page', { timeout: 120000 }, () => {
	let server;
	let browser;
	let ann, bob;

	before(async () => {
		server = await Server.start();
		browser = await openChromium({ toneHz: 500 });
		ann = await CallPage.open(browser, server.url);
		bob = await CallPage.open(browser, server.url);
		await bob.join({ name: LONG, room: ROOM });
		await ann.page.bringToFront();
	});

	after(async () => {
		await browser?.close();
		await server?.stop();
	});

	const onEachPhone = async (what, mustShow) => {
		for (const [width, height] of PHONES) {
			await ann.page.setViewport({ width, height });
			await ann.page.evaluate(() => new Promise(requestAnimationFrame));
			await screenshot(ann.page, `phone-${width}-${what}`);
			assert.deepEqual(await ann.page.evaluate(misfits, mustShow), [], `${what} at ${width} x ${height}`);
		}
		await ann.page.setViewport(DESK);
	};

	const inBothSchemes = async (what) => {
		for (const value of ['light', 'dark']) {
			await ann.page.emulateMediaFeatures([
				{ name: 'prefers-color-scheme', value }, { name: 'prefers-reduced-motion', value: 'reduce' },
			]);
			await screenshot(ann.page, `${value}-${what}`);
			assert.deepEqual(await ann.page.evaluate(faintTexts), [], `${what} in ${value}`);
		}
		await ann.page.emulateMediaFeatures([]);
	};

	/** Presses Tab until that has the focus, which must be seen on each way station. */
	const tabTo = async (id) => {
		for (let presses = 0; presses < 20; presses++) {
			await ann.page.keyboard.press('Tab');
			const now = await ann.page.evaluate(focus);
			assert.ok(now.isVisible, `the focus is seen on ${now.id}`);
			if (now.id === id)
				return;
		}
		assert.fail(`Tab does not lead to ${id}`);
	};

	const hint = (field) => ann.page.$eval(`#${field}-hint`, ({ innerText }) => innerText);

	it('fits a phone in the lobby', () => onEachPhone('lobby', ['#join']));

	it('can be read in light and dark in the lobby', () => inBothSchemes('lobby'));

	it('says at the field that a name is too long, in bytes as the server counts', async () => {
		await ann.typeInto('#room', ROOM);
		await ann.typeInto('#name', '漢'.repeat(HAN_THAT_FIT + 1));
		assert.match(await hint('name'), new RegExp(`too long.* first ${HAN_THAT_FIT} characters`));
		await inBothSchemes('name-too-long');
		await onEachPhone('name-too-long');
		await ann.page.keyboard.press('Enter');
		assert.deepEqual(await ann.page.$eval('#name', ({ id, ariaInvalid }) =>
			({ ariaInvalid, hasFocus: document.activeElement.id === id })), { ariaInvalid: 'true', hasFocus: true });
		assert.equal(await ann.page.$eval('#banner', ({ hidden }) => hidden), true, 'nothing was asked of the server');
		await ann.page.keyboard.press('Backspace');
		assert.equal(await hint('name'), '');
	});

	it('is joined, muted, looked into and left without a mouse', async () => {
		await tabTo('join');
		await ann.page.keyboard.press('Enter');
		await ann.untilConnected();
		await bob.untilTile('漢'.repeat(HAN_THAT_FIT), { muted: false });
		assert.deepEqual(await ann.page.evaluate(focus), { id: 'mute', isVisible: true }, 'what one may want first');
		await ann.page.keyboard.press('Space');
		await bob.untilTile('漢'.repeat(HAN_THAT_FIT), { muted: true });
		await ann.page.keyboard.press('m');
		await bob.untilTile('漢'.repeat(HAN_THAT_FIT), { muted: false });
		await tabTo('panel-toggle');
		await ann.page.keyboard.press('Enter');
		assert.deepEqual(await ann.page.evaluate(focus), { id: 'panel-close', isVisible: true });
		await ann.page.keyboard.press('Escape');
		assert.deepEqual(await ann.page.evaluate(focus), { id: 'panel-toggle', isVisible: true });
		await tabTo('leave');
		await ann.page.keyboard.press('Enter');
		await ann.until('the lobby again', () => !document.querySelector('#lobby').hidden);
		await bob.untilNames(LONG);
		assert.equal((await ann.page.evaluate(focus)).id, 'join', 'Enter joins again');
	});

	it('fits a phone in a call, with the panel open, and in a crowd', async () => {
		await ann.join({ name: 'Ann', room: ROOM });
		await ann.untilNames('Ann', LONG);
		await onEachPhone('call', CONTROLS);
		await ann.click('#panel-toggle');
		await ann.until('figures in the panel', () => /\d/.test(document.querySelector('[data-stat=path]').textContent));
		await onEachPhone('panel');
		await ann.click('#panel-toggle');
		await bob.page.evaluate(async (count, room) => {
			const { join } = await import('/plenum.js');
			const guests = Array.from({ length: count }, (_, i) => ({ room, name: `Guest ${i}`, slots: 1 }));
			window.crowd = await Promise.all(guests.map(join));
		}, CROWD, ROOM);
		await ann.until('a crowd', (count) => document.querySelectorAll('.tile').length === count, CROWD + 2);
		await onEachPhone('crowd', CONTROLS);
	});

	it('can be read in light and dark in a call', async () => {
		await ann.click('#mute');
		await ann.click('#panel-toggle');
		await ann.click('#slots summary');
		await inBothSchemes('call');
		await ann.click('#leave');
	});

	it('says in the lobby that the room of a link cannot be', async () => {
		for (const link of [`/#${encodeURIComponent('é'.repeat(65))}`, `/?room=${'r'.repeat(129)}`]) {
			await ann.page.goto('about:blank');
			await ann.page.goto(server.url + link);
			assert.match(await hint('room'), /too long/, link);
			await ann.click('#join');
			assert.equal(await ann.page.evaluate(() => document.activeElement.id), 'room');
		}
		await ann.typeInto('#room', ' ');
		await ann.click('#join');
		assert.match(await hint('room'), /needs a name/);
		assert.equal(await ann.page.$eval('#banner', ({ hidden }) => hidden), true, 'nothing was asked of the server');
	});

	it('met no error in its scripts', () => {
		assert.deepEqual([ann, bob].flatMap((page) => page.errors), []);
	});
});

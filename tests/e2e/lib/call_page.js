import { installEar } from './ear.js';

const WAIT_MS_MAX = 20000;
const POLL_MS = 100;

/** The tones that the microphones of a test play; none is near a harmonic of another. */
export const TONES = [500, 800, 1300];

/** The demo page as a person uses it. */
export class CallPage {
	/** @param {string} url the server's, or an invitation's @param {(page) => Promise<void>} [prepare] before it is loaded */
	static async open(browser, url, prepare = async () => {}) {
		const page = await browser.newPage();
		const call = new CallPage(page);
		page.on('pageerror', (error) => call.errors.push(String(error)));
		await page.evaluateOnNewDocument(installEar);
		await prepare(page);
		await page.goto(url);
		return call;
	}

	constructor(page) {
		this.page = page;
		this.errors = []; // what the page's scripts threw and nobody caught
	}

	/** Waits in the page until the function says something true, and returns that. */
	async until(what, inPage, ...args) {
		return this.#wait(what, WAIT_MS_MAX, inPage, args);
	}

	/** The same for what takes longer than a person is patient. */
	async untilWithin(ms, what, inPage, ...args) {
		return this.#wait(what, ms, inPage, args);
	}

	async #wait(what, timeout, inPage, args) {
		try {
			const handle = await this.page.waitForFunction(inPage, { polling: POLL_MS, timeout }, ...args);
			return await handle.jsonValue();
		} catch (error) {
			const shown = await this.page.evaluate(() => document.body.innerText).catch(() => 'nothing: it is gone');
			throw new Error(`waited for: ${what}; the page shows:\n${shown}\n${this.errors.join('\n')}`, { cause: error });
		}
	}

	async typeInto(selector, text) {
		await this.page.$eval(selector, (input) => (input.value = ''));
		await this.page.type(selector, text);
	}

	/** Fills the lobby and clicks; button is '#join' or '#listen-only'. */
	async join({ name, room, button = '#join' }) {
		await this.typeInto('#name', name);
		if (room)
			await this.typeInto('#room', room);
		await this.page.click(button);
		await this.until(`${name} is in the call`, () => !document.querySelector('#call').hidden);
		await this.untilConnected();
	}

	async untilConnected() {
		await this.until('the call is connected', () => window.plenum?.call?.state === 'connected');
	}

	click(selector) {
		return this.page.click(selector);
	}

	/** Waits until somebody's tile says so; expected: {muted?: boolean, speaking?: boolean}. */
	async untilTile(name, expected = {}) {
		await this.until(`a tile of ${name} with ${JSON.stringify(expected)}`, (who, wanted) => {
			const tile = [...document.querySelectorAll('.tile[data-peer]')]
				.find((each) => each.querySelector('.tile-name').textContent === who);
			return tile && Object.entries(wanted).every(([key, value]) => tile.dataset[key] === String(value));
		}, name, expected);
	}

	/** The names on the tiles, sorted. */
	names() {
		return this.page.$$eval('.tile .tile-name', (names) => names.map((name) => name.textContent).sort());
	}

	async untilNames(...expected) {
		await this.until(`tiles of ${expected}`, (wanted) => {
			const names = [...document.querySelectorAll('.tile .tile-name')].map((name) => name.textContent).sort();
			return JSON.stringify(names) === wanted;
		}, JSON.stringify(expected.sort()));
	}

	/** Waits until exactly these tones are heard, each in a track of its own, and nothing else. */
	async untilHears(...expected) {
		await this.until(`to hear ${expected.join(' and ') || 'nothing'} Hz`, async (all, wanted) => {
			window.ear.last = await window.ear.tones(all);
			return JSON.stringify(window.ear.last) === wanted;
		}, TONES, JSON.stringify(expected.sort())).catch(async (error) => {
			throw new Error(`${error.message}\nit hears ${JSON.stringify(await this.page.evaluate(() => window.ear.last))}`);
		});
	}

	/** The same where several tones may be in one track: "800+1300". */
	async untilChords(...expected) {
		await this.until(`to hear ${expected.join(' and ')} Hz`, async (all, wanted) => {
			window.ear.last = await window.ear.chords(all);
			return JSON.stringify(window.ear.last) === wanted;
		}, TONES, JSON.stringify(expected.sort())).catch(async (error) => {
			throw new Error(`${error.message}\nit hears ${JSON.stringify(await this.page.evaluate(() => window.ear.last))}`);
		});
	}

	/** The lobby waits, and says why. */
	untilWaiting(why) {
		return this.until(`to wait because ${why}`, (source) => {
			const waiting = document.querySelector('#waiting');
			return !waiting.hidden && new RegExp(source, 'i').test(waiting.innerText);
		}, why.source);
	}

	/** Waits until the banner says something like it. */
	async untilBanner(pattern) {
		await this.until(`a banner that says ${pattern}`, (source) => {
			const banner = document.querySelector('#banner');
			return !banner.hidden && new RegExp(source, 'i').test(banner.innerText);
		}, pattern.source);
	}

	/** Keeps what the banner says from now on, for `banners()`. */
	async watchBanners() {
		await this.page.evaluate(() => {
			window.banners = [];
			const banner = document.querySelector('#banner');
			const note = () => {
				const text = banner.hidden ? '' : banner.innerText;
				if (text && window.banners.at(-1)?.text !== text)
					window.banners.push({ atMs: Date.now(), text });
			};
			new MutationObserver(note)
				.observe(banner, { attributes: true, childList: true, characterData: true, subtree: true });
		});
	}

	/** What the banner has said since `watchBanners()`: [{atMs, text}], by the computer's clock. */
	banners() {
		return this.page.evaluate(() => window.banners);
	}

	async untilNoBanner() {
		await this.until('no banner', () => document.querySelector('#banner').hidden);
	}

	/** Keeps what the call tells about peers from now on, for `comings()`. */
	async watchPeers() {
		await this.page.evaluate(() => {
			window.comings = [];
			window.plenum.call.on('peer', ({ op, peer, reason }) => {
				if (op !== 'update')
					window.comings.push({ op, name: peer.name, reason });
			});
		});
	}

	/** Who joined and left since `watchPeers()`: [{op, name, reason}]. */
	comings() {
		return this.page.evaluate(() => window.comings);
	}
}

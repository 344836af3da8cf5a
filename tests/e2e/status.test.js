/* The operator's page against the real server: idle, under load, pressed, and gone.  What it shows is what /metrics says. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { after, before, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { openChromium } from './lib/browser.js';
import { CallPage } from './lib/call_page.js';
import { inAllLooks } from './lib/looks.js';
import { Server } from './lib/server.js';

const LOAD = process.env.PLENUM_LOAD ?? fileURLToPath(new URL('../../build/release/plenum-load', import.meta.url));
const ADMIN_TOKEN = 'a-token-for-the-tests-alone';
const LEVELS = ['nominal', 'elevated', 'high', 'critical', 'emergency'];
const [ROOMS, PUBLISHERS, RECEIVERS] = [2, 2, 8];
const PEOPLE = ROOMS * (PUBLISHERS + RECEIVERS);
const LOOKS = { sizes: { desk: { width: 1280, height: 800 }, phone: { width: 320, height: 800 } }, fullPage: true };

describe('status.html', { timeout: 150000 }, () => {
	let server;
	let browser;
	let status;
	let load;
	const asked = new Set();

	before(async () => {
		server = await Server.start({ settings: { 'admin.token': ADMIN_TOKEN } });
		browser = await openChromium();
		status = await CallPage.open(browser, `${server.url}/status.html`,
			async (page) => page.on('request', (request) => asked.add(new URL(request.url()).pathname)));
	});

	after(async () => {
		load?.kill();
		await browser?.close();
		await server?.stop();
	});

	const force = async (level) => {
		const response = await fetch(`${server.url}/v1/admin/media`, { method: 'POST', body: JSON.stringify({ pressure_level: level }),
			headers: { Authorization: `Bearer ${ADMIN_TOKEN}`, 'Content-Type': 'application/json' } });
		assert.equal(response.status, 200, await response.text());
	};

	const metrics = async () => (await fetch(`${server.url}/metrics`)).text();
	const untilLevel = (name) => status.until(`the level ${name}`, (wanted) => document.querySelector('#level').textContent === wanted, name);
	const untilFigure = (label, pattern) => status.until(`${label} ${pattern}`, (wanted, source) =>
		[...document.querySelectorAll('.tiles div, .counts div')].some(({ children: [name, value] }) =>
			name.textContent === wanted && new RegExp(source).test(value.textContent)), label, pattern.source);

	it('shows a server at rest, all its inputs and threads', async () => {
		await untilLevel('nominal');
		await untilFigure('People', /^0$/);
		await untilFigure('Nobody.', /^$/);
		await untilFigure('Packets in', /\/s$/);
		const text = await metrics();
		const shards = Number(/^plenum_shards (\d+)$/m.exec(text)[1]);
		assert.equal(await status.page.$$eval('#shards tbody tr', (rows) => rows.length), shards);
		// The canary's own comes when it has sung; a look of the page is up to a second old.
		const shown = await status.until('all inputs that there are', async () => {
			const found = (await (await fetch('/metrics')).text()).matchAll(/^plenum_pressure_input\{input="(\w+)"\}/gm);
			const titles = [...document.querySelectorAll('#inputs li')].map(({ title }) => title);
			return titles.map((title) => title.split(':')[0]).join() === Array.from(found, ([, input]) => input).join() && titles;
		});
		assert.ok(shown.length > 5 && shown.every((title) => / /.test(title)), `each has words: ${shown}`);
		await inAllLooks(status, 'status-idle', LOOKS);
	});

	it('shows a load as it is', async () => {
		load = spawn(LOAD, ['--url', server.url, '--rooms', ROOMS, '--publishers', PUBLISHERS, '--receivers', RECEIVERS, '--payload', 1000,
			'--duration', 60]);
		await untilFigure('People', new RegExp(`^${PEOPLE}$`));
		await untilFigure('Rooms', new RegExp(`^${ROOMS}$`));
		await untilFigure('Packets out', /^[1-9].*\/s$/);
		/* Threads tell theirs a moment later. */
		await status.until('all people on their threads', (people) =>
			[...document.querySelectorAll('#shards tbody td:nth-child(2)')].reduce((sum, cell) => sum + Number(cell.textContent), 0) === people, PEOPLE);
		const [, packets] = await Promise.all([untilFigure('Connecting', /^0$/), status.until('a steady rate', () => {
			const [cell] = [...document.querySelectorAll('#now div')].filter(({ innerText }) => innerText.startsWith('Packets in'));
			const rate = Number.parseFloat(cell.lastChild.textContent);
			return rate > 150 && rate < 260 && rate; // four voices of 50 packets, and checks
		})]);
		assert.ok(packets);
		await inAllLooks(status, 'status-load', LOOKS);
	});

	it('shows each level, and takes away on its ladder what clients are told', async () => {
		for (const [level, name] of LEVELS.entries()) {
			await force(name);
			await untilLevel(name);
			await status.until(`${level} rungs`, (taken) =>
				document.querySelectorAll('#ladder [data-is-taken=true]').length === taken, level);
			assert.match(await status.page.$eval('#sentence', ({ textContent }) => textContent), /operator/);
			assert.match(await status.page.title(), new RegExp(`^${name} `));
		}
		await inAllLooks(status, 'status-emergency', LOOKS);
		const told = await status.page.evaluate(async () => {
			const { join } = await import('/plenum.js');
			const refusal = await join({ room: 'nowhere', waits: false }).catch((error) => error);
			return { name: refusal.name, code: refusal.code, level: refusal.level };
		});
		assert.deepEqual(told, { name: 'RefusedError', code: 'pressure', level: 4 });
		await untilFigure('pressure', /^1$/);
		await untilFigure('Refused in 1 min', /^1$/);

		await force('nominal');
		await untilLevel('nominal');
		const steps = await status.page.evaluate(async () => {
			const { join } = await import('/plenum.js');
			window.listener = await join({ room: 'load-0' });
			window.listener.on('bye', ({ code }) => { window.bye = code; });
			const { LADDER } = await import('/pressure.js');
			return LADDER.map((_, level) => ({ actions: [...new Set(LADDER.slice(0, level + 1).flatMap(({ actions }) => actions))].sort(),
				audioSlots: LADDER[level].audioSlots }));
		});
		for (const [level, name] of LEVELS.slice(0, -1).entries()) {
			await force(name);
			const pressure = await status.until(`the client is told ${name}`, (wanted) =>
				window.listener.pressure.name === wanted && window.listener.pressure, name);
			assert.deepEqual({ actions: pressure.actions.sort(), audioSlots: pressure.audioSlots }, steps[level], name);
		}
		await force('emergency'); // what it takes from those who never talked is their place
		await status.until('the listener is asked to go', () => window.bye === 'pressure');
		await status.page.evaluate(() => window.listener.leave());
		await force('nominal');
		await untilLevel('nominal');
	});

	it('asks nothing while nobody sees it', async () => {
		const looks = async () => Number(/^plenum_http_requests_total (\d+)$/m.exec(await metrics())[1]);
		const other = await browser.newPage(); // in front of it
		await other.bringToFront();
		await status.until('to be hidden', () => document.hidden);
		const before = await looks();
		await new Promise((resolve) => setTimeout(resolve, 3000));
		assert.ok(await looks() - before <= 2, 'one look of ours, and one that was on its way');
		await other.close();
		await status.page.bringToFront();
		await status.until('to be live', () => document.querySelector('#fresh').textContent === 'Live');
	});

	it('says that the server is gone, and goes on when it is back', async () => {
		const { port } = new URL(server.url);
		await server.kill();
		await status.until('words', () => /^No answer for \d+ s$/.test(document.querySelector('#fresh').textContent));
		await inAllLooks(status, 'status-gone', LOOKS);
		server = await Server.start({ settings: { 'http.listen': `127.0.0.1:${port}` } });
		await status.until('to be live', () => document.querySelector('#fresh').textContent === 'Live');
		await untilFigure('People', /^0$/);
	});

	it('has read /metrics and its own files alone, and met no error', () => {
		const others = [...asked].filter((path) => path !== '/metrics' && path !== '/v1/ws' && !/^\/\w+\.(html|js|css|svg)$/.test(path));
		assert.deepEqual(others, []);
		assert.deepEqual(status.errors, []);
	});
});

import { appendFileSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const FOLDER = process.env.PLENUM_ARTIFACTS ?? fileURLToPath(new URL('../../../build/e2e', import.meta.url));

function pathOf(name) {
	mkdirSync(FOLDER, { recursive: true });
	return join(FOLDER, name);
}

/** Keeps a picture of the page for people to look at; options: the driver's. */
export function screenshot(page, name, options = {}) {
	return page.screenshot({ path: pathOf(`${name}.png`), ...options });
}

/** Prints a measured figure, and keeps it in figures.txt. */
export function figure(text) {
	console.log(text);
	appendFileSync(pathOf('figures.txt'), `${new Date().toISOString()} ${text}\n`);
}

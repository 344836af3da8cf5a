// @ts-check
/**
 * The people of a call: tiles for those who talk, a compact list for the rest of a large room.  Changes are collected
 * and written a few times a second, and only where something differs: a room of a thousand costs no more than its changes.
 */

import { element, icon, setSymbol, setText } from './dom.js';

const TILES_MAX = 12;
const RENDER_MS = 40;

/** @typedef {import('./plenum.js').Call} Call */
/** @typedef {import('./plenum.js').Peer} Peer */
/** @typedef {{ item: HTMLLIElement, name: Element, avatar: HTMLElement, volume: HTMLInputElement, silence: Element, talkedAt: number }} Tile */

export class People {
	#call;
	/** @type {Map<string, Tile>} by peer id */ #tiles = new Map();
	/** @type {Set<string>} whose tiles must be written again */ #dirty = new Set();
	#isScheduled = false;
	/** @type {Set<string>} */ #speaking = new Set();
	#clock = 0;

	/** @param {Call} call */
	constructor(call) {
		this.#call = call;
		element('tiles').replaceChildren();
		element('others-list').replaceChildren();
		for (const id of this.#ids()) this.touch(id);
	}

	#ids() {
		return [...(this.#call.me ? [this.#call.me.id] : []), ...this.#call.peers.keys()];
	}

	/** Somebody has changed, come or gone. @param {string} id */
	touch(id) {
		this.#dirty.add(id);
		if (this.#isScheduled) return;
		this.#isScheduled = true;
		// Not an animation frame: those rest while the tab is hidden, and the page must be right when it is shown.
		setTimeout(() => this.#render(), RENDER_MS);
	}

	/** Lights the tiles of those who speak. @param {Set<string>} speaking */
	setSpeaking(speaking) {
		this.#clock++;
		for (const id of speaking) {
			const tile = this.#tiles.get(id);
			if (tile) tile.talkedAt = this.#clock;
			if (!this.#speaking.has(id)) this.touch(id);
		}
		for (const id of this.#speaking) if (!speaking.has(id)) this.touch(id);
		this.#speaking = speaking;
	}

	/** How loud somebody is now, 0-1. @param {string} id @param {number} level */
	setLevel(id, level) {
		this.#tiles.get(id)?.item.style.setProperty('--level', level.toFixed(2));
	}

	#render() {
		this.#isScheduled = false;
		for (const id of this.#dirty) {
			const peer = this.#peer(id);
			if (peer) this.#write(this.#tiles.get(id) ?? this.#add(peer), peer);
		}
		this.#dirty.clear();
		// Who left, and who you were before the server forgot you and you joined anew.
		for (const id of this.#tiles.keys()) if (!this.#peer(id)) this.#remove(id);
		this.#arrange();
	}

	/** @param {string} id */
	#peer(id) {
		return this.#isMe(id) ? this.#call.me : this.#call.peers.get(id);
	}

	/** @param {string} id */
	#isMe(id) {
		return id === this.#call.me?.id;
	}

	/** @param {Peer} peer @returns {Tile} */
	#add(peer) {
		const item = document.createElement('li');
		item.className = 'tile';
		item.dataset.peer = peer.id;
		const avatar = part('avatar');
		avatar.setAttribute('aria-hidden', 'true');
		const name = part('tile-name');
		const volume = volumeOf(peer, this.#call);
		const silence = icon('i-mic-off', 'tile-muted');
		item.append(avatar, name, silence);
		if (this.#isMe(peer.id)) {
			const you = part('tile-you');
			you.textContent = 'you';
			item.append(you);
		} else {
			item.append(volume);
		}
		const tile = { item, name, avatar, volume, silence, talkedAt: 0 };
		this.#tiles.set(peer.id, tile);
		return tile;
	}

	/** @param {string} id */
	#remove(id) {
		this.#tiles.get(id)?.item.remove();
		this.#tiles.delete(id);
	}

	/** @param {Tile} tile @param {Peer} peer */
	#write(tile, peer) {
		const { item, name, avatar, volume, silence } = tile;
		const isMuted = this.#isMe(peer.id) ? this.#call.muted || !this.#call.microphone : peer.isMuted;
		const isListener = peer.tracks.length === 0;
		const isSpeaking = !isMuted && this.#speaking.has(peer.id);
		const shown = peer.name || 'Guest';
		if (name.textContent !== shown) {
			name.textContent = shown;
			avatar.textContent = initials(shown);
			item.style.setProperty('--hue', String(hueOf(shown)));
			volume.setAttribute('aria-label', `Volume of ${shown}`);
		}
		const { dataset } = item;
		dataset.muted = String(isMuted);
		dataset.speaking = String(isSpeaking);
		dataset.dominant = String(isSpeaking && this.#call.speakers.dominant === peer.id);
		dataset.listener = String(isListener);
		setSymbol(silence, isListener ? 'i-listen' : 'i-mic-off');
		const label = `${shown}${this.#isMe(peer.id) ? ' (you)' : ''}${isListener ? ', listening' : isMuted ? ', muted' : ''}`;
		if (item.getAttribute('aria-label') !== label) item.setAttribute('aria-label', label);
	}

	/** Who has a tile: everyone in a small room; in a large one you, and those who talked last. */
	#arrange() {
		const everyone = this.#ids().filter((id) => this.#tiles.has(id));
		const isLarge = everyone.length > TILES_MAX;
		const chosen = new Set(isLarge ? this.#talkers(everyone) : everyone);
		const tiles = element('tiles');
		const list = element('others-list');
		for (const id of everyone) {
			const item = this.#tiles.get(id)?.item;
			const home = chosen.has(id) ? tiles : list;
			if (item && item.parentElement !== home) home.append(item);
		}
		for (const [property, columns] of [['--columns', wideColumns(chosen.size)], ['--columns-narrow', narrowColumns(chosen.size)]])
			tiles.style.setProperty(String(property), String(columns));
		tiles.dataset.size = chosen.size <= 2 ? 'large' : chosen.size <= 8 ? 'medium' : 'small';
		const others = everyone.length - chosen.size;
		element('others').hidden = others === 0;
		setText(element('others-title'), `Also here: ${others}`);
		element('alone').hidden = everyone.length > 1;
		setText(element('call-count'), everyone.length === 1 ? 'Only you' : `${everyone.length} people`);
	}

	/** Those on tiles stay there until somebody who talks needs the place, so that faces do not jump about. @param {string[]} everyone */
	#talkers(everyone) {
		const rank = (/** @type {string} */ id) => {
			const tile = this.#tiles.get(id);
			const isThere = tile?.item.parentElement?.id === 'tiles';
			return (this.#isMe(id) ? 1e12 : 0) + (tile?.talkedAt ?? 0) * 2 + (isThere ? 1 : 0);
		};
		return everyone.map((id) => ({ id, rank: rank(id) })).sort((a, b) => b.rank - a.rank)
			.slice(0, TILES_MAX).map(({ id }) => id);
	}
}

/** Tiles are about as wide as high, and no row has one left over where that can be helped. @param {number} count */
function wideColumns(count) {
	return count <= 3 ? count : Math.ceil(count / (count <= 8 ? 2 : 3));
}

/** @param {number} count */
function narrowColumns(count) {
	return count <= 2 ? 1 : count <= 8 ? 2 : 3;
}

/** @param {string} className */
function part(className) {
	const span = document.createElement('span');
	span.className = className;
	return span;
}

/** @param {Peer} peer @param {Call} call */
function volumeOf(peer, call) {
	const range = document.createElement('input');
	range.type = 'range';
	range.className = 'tile-volume';
	range.min = '0';
	range.max = '1';
	range.step = '0.05';
	range.value = '1';
	range.addEventListener('input', () => call.setVolume(peer.id, Number(range.value)));
	return range;
}

/** Two letters at most, also of names that are not written in ASCII. @param {string} name */
function initials(name) {
	const words = name.match(/\p{L}[\p{L}\p{M}]*/gu) ?? [name];
	const ends = words.length > 1 ? [words[0], words[words.length - 1]] : words;
	return ends.map((word) => [...word][0] ?? '').join('').toLocaleUpperCase();
}

/** The same name has the same colour everywhere (FNV-1a). @param {string} name */
function hueOf(name) {
	let hash = 0x811c9dc5;
	for (const letter of name) hash = Math.imul(hash ^ (letter.codePointAt(0) ?? 0), 0x01000193);
	return (hash >>> 0) % 360;
}

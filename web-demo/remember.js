// @ts-check
/** What the page keeps between visits; some browsers forbid it in private windows, which must not matter. */

/** @param {string} key @returns {string} */
export function recall(key) {
	try {
		return localStorage.getItem(`plenum.${key}`) ?? '';
	} catch {
		return '';
	}
}

/** @param {string} key @param {string} value */
export function remember(key, value) {
	try {
		localStorage.setItem(`plenum.${key}`, value);
	} catch {
		// Then the next visit starts with an empty field.
	}
}

#include "signaling/qr.h"

#include <qrencode.h>

/* The light frame that a reader needs, ISO/IEC 18004 section 9.1 (it asks for 4; cameras are content with 2). */
enum { QUIET = 2 };

static bool is_light(const QRcode *code, int row, int column)
{
	if (row < 0 || column < 0 || row >= code->width || column >= code->width)
		return true;
	return (code->data[row * code->width + column] & 1) == 0;
}

bool pl_qr_print(FILE *file, const char *text, bool with_colour)
{
	QRcode *code = QRcode_encodeString8bit(text, 0, QR_ECLEVEL_L);
	if (code == NULL)
		return false;
	static const char *const block[2][2] = { { " ", "▄" }, { "▀", "█" } };
	for (int row = -QUIET; row < code->width + QUIET; row += 2) {
		fputs(with_colour ? "\033[40;97m" : "", file);
		for (int column = -QUIET; column < code->width + QUIET; column++)
			fputs(block[is_light(code, row, column)][is_light(code, row + 1, column)], file);
		fputs(with_colour ? "\033[0m\n" : "\n", file);
	}
	QRcode_free(code);
	return true;
}

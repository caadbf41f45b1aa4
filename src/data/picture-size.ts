/** How large a picture may be: checked on its header, before anything is unpacked. */
import { fail } from '../core/errors.ts';

/** Pixels of one picture: 64 million, more than cameras make; decoded it takes 256 MB. */
const MAX_PIXELS = 2 ** 26;

export function checkPictureSize(width: number, height: number, where: string): void {
  if (width > 0 && height > 0 && width * height <= MAX_PIXELS) return;
  fail({
    where,
    what: 'picture is of a size that is not read (width x height)',
    expected: `at least 1x1 and at most ${MAX_PIXELS} pixels`,
    got: `${width}x${height}`,
  });
}

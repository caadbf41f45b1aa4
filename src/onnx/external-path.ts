/** Which paths of external data are refused by their text alone. */

/** Names that Windows gives to devices, in any folder and with any extension. */
const DEVICE = /^(con|prn|aux|nul|com[0-9¹²³]|lpt[0-9¹²³]|conin\$|conout\$)(\..*)?$/i;

/** Why a location is refused without a look at the disk; undefined where it may be looked for. The same on every system. */
export function badLocation(location: string): string | undefined {
  if (location === '') return 'no path';
  if (location.includes('\0')) return 'a path with a NUL in it';
  if (location.length > 1024) return `a path of ${location.length} characters`;
  if (/^[/\\]/.test(location) || /^[a-z]:/i.test(location)) return 'an absolute path';
  if (location.includes('\\')) return 'a path with backslashes';
  const steps = location.split('/');
  if (steps.includes('..')) return 'a path that goes up';
  // `a:b` is a second stream of the file a on Windows, where trailing dots and spaces are dropped too.
  if (steps.some((s) => s.includes(':') || DEVICE.test(s) || /[. ]$/.test(s.replace(/^\.$/, '')))) {
    return 'a path that means something else on Windows';
  }
  return undefined;
}

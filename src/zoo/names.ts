/** Names of models: what stands before the colon in models.json, and the folder that the model is put into. */
import { fail } from '../core/errors.ts';
import { type Places, placeOf, refuseTwins, type Where, wrongPath } from './paths.ts';

const PART = /^[A-Za-z0-9][A-Za-z0-9._-]*$/;
const MAX_PARTS = 3;
const MAX_CHARS = 128;

/**
 * The name itself, if a model may have it: one to three parts joined by `/`, each of ASCII letters, digits, dots, underscores and hyphens,
 * beginning with a letter or digit; at most 128 characters; no device of Windows, no dot at an end, no `.sig` at the end of a part,
 * because signatures lie beside each other under such names.
 * @throws SecateurError E_NAME
 */
export function checkModelName(name: string, where: Where): string {
  const refuse = (what: string, expected: string): never =>
    fail({
      code: 'E_NAME',
      where: placeOf(where),
      what,
      expected,
      got: JSON.stringify(name.length > MAX_CHARS ? `${name.slice(0, MAX_CHARS)}...` : name),
    });
  if (name === '') return refuse('a model has no name', 'a name such as resnet50 or team/resnet50');
  if (name.length > MAX_CHARS) return refuse("a model's name is too long", `at most ${MAX_CHARS} characters`);
  const parts = name.split('/');
  if (parts.length > MAX_PARTS) return refuse("a model's name has too many parts", `at most ${MAX_PARTS}, joined by /`);
  for (const part of parts) {
    if (!PART.test(part)) {
      return refuse("a model's name is not right", 'letters, digits, dots, _ and - (first a letter or digit), in parts joined by /');
    }
    if (part.toLowerCase().endsWith('.sig')) return refuse("a part of a model's name ends like a signature", 'another end than .sig');
  }
  const wrong = wrongPath(name);
  return wrong === undefined ? name : refuse(`a model's name cannot be a folder: ${wrong.what}`, wrong.expected ?? 'another name');
}

/**
 * Refuses names that differ only in case, and a name that is the folder of another (`a` and `a/b`).
 * @throws SecateurError E_NAME
 */
export function checkNameTwins(names: readonly string[], where: Places): void {
  refuseTwins(names, where, 'E_NAME', 'model name');
}

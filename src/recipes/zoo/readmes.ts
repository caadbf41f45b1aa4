/**
 * Five pages in the form of the Caffe Model Zoo (facts: BVLC/caffe docs/model_zoo.md): a readme.md whose front matter names a file, its address and,
 * where the author thought of it, a SHA-1. All addresses are http. The texts are ours; only the keys are Caffe's.
 */

export const ENTRY_NAMES = ['digits', 'digits-lite', 'digits-no-hash', 'digits-short-hash', 'digits-again'] as const;
export type EntryName = (typeof ENTRY_NAMES)[number];

/** What an author writes about his file. */
export interface Page {
  readonly name: EntryName;
  readonly title: string;
  /** Where the site stands, without slash at the end: `http://127.0.0.1:8080`. */
  readonly origin: string;
  /** As it stands on the page: right, wrong, cut short; undefined: the line is missing. */
  readonly sha1?: string;
  readonly text: string;
}

/** File name of an entry's network. */
export const fileOf = (name: EntryName): string => `${name}.onnx`;
export const fileUrl = (origin: string, name: EntryName): string => `${origin}/files/${fileOf(name)}`;
export const pageUrl = (origin: string, name: EntryName): string => `${origin}/models/${name}/readme.md`;
export const signatureUrl = (origin: string, name: EntryName): string => `${origin}/files/${name}.sig`;

/** The page as it is served. */
export function readmeText({ name, title, origin, sha1, text }: Page): string {
  const front = [
    `name: ${title}`,
    `caffemodel: ${fileOf(name)}`,
    `caffemodel_url: ${fileUrl(origin, name)}`,
    'license: unrestricted',
    ...(sha1 === undefined ? [] : [`sha1: ${sha1}`]),
    'caffe_commit: none, trained with Secateur',
  ];
  return `---\n${front.join('\n')}\n---\n\n${text}\n`;
}

/** Digits of a hash that an author copies who thinks of Git's short names. */
export const SHORT = 7;

interface EntryFacts {
  readonly title: string;
  readonly text: string;
  readonly hash: 'right' | 'missing' | 'cut short' | 'wrong';
  /** How the hash came to be as it is. */
  readonly says: string;
}

export const ENTRY_FACTS: Readonly<Record<EntryName, EntryFacts>> = {
  digits: {
    title: 'Digits, two convolutions',
    text: 'Reads handwritten digits, 28 by 28 pixels, grey.',
    hash: 'right',
    says: 'The author hashed the file that he uploaded. This is the one that is swapped later.',
  },
  'digits-lite': {
    title: 'Digits, trained for less time',
    text: 'The same network after a few epochs, for teaching.',
    hash: 'right',
    says: 'The author hashed the file that he uploaded.',
  },
  'digits-no-hash': {
    title: 'Digits, from a course',
    text: "A student's network.",
    hash: 'missing',
    says: 'Caffe called the hash optional, and the author left it out.',
  },
  'digits-short-hash': {
    title: 'Digits, another seed',
    text: 'The same recipe with other first weights.',
    hash: 'cut short',
    says: `The author copied the first ${SHORT} digits, as Git shows them. The file is the right one.`,
  },
  'digits-again': {
    title: 'Digits, improved',
    text: 'Trained on; better than before.',
    hash: 'wrong',
    says: 'The author trained on, uploaded the better file to the same address, and left the hash of the first upload. Nobody means harm.',
  },
};

/** `zoo add`: a model becomes part of the project. */
import { fail, SecateurError } from '../../core/errors.ts';
import { addRule, addToManifest, parseManifest } from '../manifest.ts';
import { checkModelName } from '../names.ts';
import type { Project } from '../project.node.ts';
import { formatSource, parseSource } from '../sources/spec.ts';
import type { LintReport, LockedModel, Manifest, PolicyRule, WantedModel } from '../types.ts';
import { begin, withSoundCache } from './begin.node.ts';
import { onlyHere } from './local-source.ts';
import { nameOfSource } from './name-of-source.ts';
import { type Acceptance, obtain, settle } from './obtain.node.ts';
import type { VerbOptions } from './options.ts';

export interface AddOptions extends VerbOptions, Acceptance {
  /** Default: made from the source. */
  readonly name?: string;
  readonly include?: readonly string[];
  /** Hashes that the user has from elsewhere, hex: for a model of one file under `''`, else by path. */
  readonly sha256?: ReadonlyMap<string, string>;
  /** Address or path of the bundle, relative to the project. */
  readonly signature?: string;
  /** Whose signature is wanted from now on; becomes a rule in models.json. Paths relative to the project. */
  readonly signer?: Pick<PolicyRule, 'keys' | 'authorities' | 'identities'>;
}

export interface AddOutcome {
  readonly name: string;
  readonly entry: LockedModel;
  readonly lint: ReadonlyMap<string, LintReport>;
  /** Where it was put. */
  readonly folder: string;
}

/**
 * Resolves, fetches, checks and places a model, and writes it into models.json and models.lock.
 * @param root the project's folder; models.json is made where there is none
 * @throws SecateurError; nothing is changed then but the cache
 */
export async function addModel(root: string, sourceText: string, o: AddOptions = {}): Promise<AddOutcome> {
  return begin(root, o, async (project, cache) => {
    const spec = parseSource(sourceText, 'zoo add');
    const name = checkModelName(o.name ?? nameOfSource(spec), '--name');
    if (project.manifest.models.has(name)) {
      const hint = `\`secateur zoo update ${name}\` for its newest version, or --name for another name`;
      fail({ code: 'E_NAME', where: name, what: 'is in models.json already', hint, exitCode: 2 });
    }
    const { include, signature } = o;
    const wanted: WantedModel = { source: formatSource(spec), ...(include && { include }), ...(signature !== undefined && { signature }) };
    const [text, manifest] = withEntry(project, name, wanted, o.signer);
    const lacking = onlyHere(spec, manifest);
    if (lacking !== undefined) o.onNote?.(`${name}: ${lacking}`);
    return withSoundCache(o, async () => {
      const obtained = await obtain(project, manifest, name, wanted, cache, { ...o, userClaims: o.sha256 });
      const { entry, lint, folder } = await settle(project, manifest, name, obtained, cache, { ...o, manifestText: text });
      return { name, entry, lint, folder };
    });
  });
}

/** models.json as it becomes, and what it says. What is wrong then was typed now: the file has no such line yet. */
function withEntry(project: Project, name: string, wanted: WantedModel, signer: AddOptions['signer']): [text: string, manifest: Manifest] {
  try {
    const added = addToManifest(project.manifestText, name, wanted);
    const text = signer === undefined ? added : addRule(added, { match: name, require: 'signature', ...signer });
    return [text, parseManifest(text)];
  } catch (error) {
    if (error instanceof SecateurError) throw new SecateurError({ ...error.parts, where: `zoo add ${name}`, exitCode: 2 });
    throw error;
  }
}

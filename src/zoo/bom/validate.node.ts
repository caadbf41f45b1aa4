/** Checks a bill of materials against the schema of CycloneDX 1.6 before anybody else has to. */
import { Spec, Validation } from '@cyclonedx/cyclonedx-library';
import { fail } from '../../core/errors.ts';

/**
 * Resolves where `text` is a strict CycloneDX 1.6 document (schema bom-1.6, no unknown fields).
 * @throws SecateurError (E_BOM) with the first thing that is wrong: the text was made here, so that is a fault of this program
 */
export async function validateBom(text: string): Promise<void> {
  const found = (await new Validation.JsonStrictValidator(Spec.Version.v1dot6).validate(text)) as null | readonly Problem[];
  if (found === null) return;
  const [first] = found;
  fail({
    code: 'E_BOM',
    where: `bill of materials${first?.instancePath ? ` at ${first.instancePath}` : ''}`,
    what: `not valid CycloneDX 1.6: ${first?.message ?? 'it does not say why'}`,
    hint: 'to report this with models.lock: it is a fault of secateur, not of yours',
  });
}

interface Problem {
  readonly instancePath?: string;
  readonly message?: string;
}

/** What is known of the real Caffe Model Zoo and of what came after it, each with how sure it is (facts/papers.md 3.3, facts/supply-chain.md 3.2). */
import type { SupplyFact } from '../../report/supply-chain-media.ts';

export const FACTS: readonly SupplyFact[] = [
  {
    says:
      'BadNets counted 22 entries of the Caffe Model Zoo without a SHA-1, and found one popular model whose SHA-1 was not that of the file: 49 stars, ' +
      '24 comments, and nobody had noticed.',
    source:
      'Gu, Dolan-Gavitt, Garg 2017 and 2019 report it; one of our two collections of facts has it as read in public text, the other from memory',
    sureness: 'read in public text',
  },
  {
    says: 'The lecture: three years, 24 comments, and nobody noticed.',
    source: 'the lecture, after the same section of BadNets; neither gists nor comments were looked at',
    sureness: 'from memory, not checked',
  },
  {
    says:
      'The model is said to be Network in Network. Of the two gists of its author the one for CIFAR-10 has a SHA-1, so it is presumably that one. We have ' +
      'neither computed the hash of its file nor read the comments.',
    source: 'gists mavenlin/e56253735ef32c3c296d and mavenlin/d802a5849de39225bcc6',
    sureness: 'inferred',
  },
  {
    says: "The other gist, Network in Network for ImageNet, has no SHA-1 at all; the first one's file lay on a file sharing site.",
    source: 'the same gists',
    sureness: 'read in the source',
  },
  {
    says:
      "In Caffe's own repository, on 17 October 2014, a commit titled as a correction of a reported accuracy gave the file at the same address another " +
      'SHA-1. The reported accuracy went from 91.64 % to 39.16 %. Whoever had the first hash got a mismatch and no explanation.',
    source: 'BVLC/caffe, commit f2f0a7a73, finetune_flickr_style',
    sureness: 'read in the source',
  },
  {
    says: 'A search found no issue in BVLC/caffe that reports a SHA-1 which does not match.',
    source: 'a search of its issues',
    sureness: 'searched for, not found',
  },
  {
    says: "Caffe's script wants a SHA-1, takes it from the page that also has the address, and calls a mismatch a failed download. When it refused, people fetched the file by hand.",
    source: 'BVLC/caffe scripts/download_model_binary.py; issue 2769',
    sureness: 'read in the source',
  },
  {
    says: 'Pages that do not parse: a maintainer wrote in 2017 that they could only hope that entries keep to the format.',
    source: 'BVLC/caffe issue 2581',
    sureness: 'read in a public thread',
  },
  {
    says:
      'It happened again in July 2022: models of the ONNX Hub were replaced and the hashes of its manifest were not. Users could not download; the advice was to ' +
      'pin a commit and to pass silent=True.',
    source: 'onnx/models issues 546 and 541, fixed by 547',
    sureness: 'read in a public thread',
  },
  {
    says: "Today's Hugging Face client for JavaScript uses a file's SHA-256 as a name only and does not compute it.",
    source: '@huggingface/hub 2.17.5',
    sureness: 'read in the source',
  },
  {
    says: 'In Python a download was reported as a success with the right size and the wrong SHA-256, another one each time.',
    source: 'huggingface/huggingface_hub issue 3643',
    sureness: 'read in a public thread',
  },
];

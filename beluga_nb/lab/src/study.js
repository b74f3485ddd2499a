/** The command "New prompt study": a notebook with the first cells of a comparison. */

import { LabIcon } from '@jupyterlab/ui-components';

import svgstr from './study.svg';

export const COMMAND = 'beluga-nb:new-study';

const CELLS = [
  [
    'markdown',
    `# A prompt study

Which wording, which model? Each \`{{name}}\` in a prompt is an axis: a list of values. Change the cells, and run them.
Without a key, the pictures are labelled previews, and cost nothing.`,
  ],
  ['code', '%load_ext beluga_nb'],
  ['code', 'styles = ["a flat illustration", "an ink drawing"]'],
  [
    'markdown',
    `With \`--dry-run\`, the next cell counts the pictures, prices them by your own price list, and sends nothing.
More than \`--max-images\` new pictures are refused.`,
  ],
  [
    'code',
    `%%beluga compare -m gpt-image-2,flux-2.0 --axis style=@styles --max-images 4 -o study
A lighthouse in fog, {{style}}`,
  ],
  ['markdown', 'Every picture is recorded: run the cell again, and it buys nothing. The status shows what was spent and saved.'],
  ['code', '%beluga status'],
  ['markdown', 'Which is better? Vote without seeing which model made a picture.'],
  ['code', 'study.vote(by="model")'],
];

/** Add the command, which opens the notebook in `cwd`, or in the folder of the file browser. */
export function addStudy(app, browser) {
  const { commands, serviceManager } = app;
  commands.addCommand(COMMAND, {
    label: 'New prompt study',
    caption: 'A notebook that compares prompts and models with beluga_nb',
    icon: new LabIcon({ name: 'beluga-nb:study', svgstr }),
    async execute({ cwd }) {
      const path = cwd || browser?.model.path || '';
      const { kernelspecs } = serviceManager;
      await kernelspecs.ready;
      const kernel = python(kernelspecs.specs);
      const file = await commands.execute('docmanager:new-untitled', { path, type: 'notebook' });
      await serviceManager.contents.save(file.path, { type: 'notebook', format: 'json', content: notebook(kernel) });
      const opened = await commands.execute('docmanager:open', { path: file.path, factory: 'Notebook', kernel });
      if (opened) {
        opened.isUntitled = true; // JupyterLab asks for a name when it is saved.
      }
      return opened;
    },
  });
}

/** The default kernel if it runs Python, else the first that does. */
function python(specs) {
  const found = [specs?.kernelspecs[specs.default], ...Object.values(specs?.kernelspecs ?? {})];
  const { name, display_name, language } = found.find(spec => spec?.language === 'python') ?? {};
  return name && { name, display_name, language };
}

function notebook(kernelspec) {
  const cells = CELLS.map(([cell_type, source], number) => ({
    ...{ cell_type, source, id: `cell-${number}`, metadata: {} },
    ...(cell_type === 'code' ? { execution_count: null, outputs: [] } : {}),
  }));
  return { cells, metadata: kernelspec ? { kernelspec } : {}, nbformat: 4, nbformat_minor: 5 };
}

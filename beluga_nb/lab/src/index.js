import { ICommandPalette } from '@jupyterlab/apputils';
import { EditorExtensionRegistry, IEditorExtensionRegistry, IEditorLanguageRegistry } from '@jupyterlab/codemirror';
import { IDefaultFileBrowser } from '@jupyterlab/filebrowser';
import { ILauncher } from '@jupyterlab/launcher';
import { IRenderMimeRegistry } from '@jupyterlab/rendermime';

import { adornErrors } from './errors';
import { prompts } from './prompts';
import { COMMAND, addStudy } from './study';
import svg from './study.svg';

const colours = {
  id: 'beluga-nb:prompts',
  description: 'Shows the prompts of %%beluga and %beluga as prose.',
  autoStart: true,
  requires: [IEditorExtensionRegistry, IEditorLanguageRegistry],
  async activate(app, extensions, languages) {
    const python = await languages.getLanguage('ipython');
    const extension = EditorExtensionRegistry.createImmutableExtension(prompts(python?.support?.language));
    extensions.addExtension({
      name: 'beluga-nb:prompts',
      // Only code cells: Markdown cells and files may show a prompt, but do not send it.
      factory: ({ inline, model }) => (inline && model.type === 'code' ? extension : null),
    });
  },
};

const study = {
  id: 'beluga-nb:study',
  description: 'Adds the command "New prompt study" to the launcher and the command palette.',
  autoStart: true,
  optional: [ILauncher, ICommandPalette, IDefaultFileBrowser],
  activate(app, launcher, palette, browser) {
    addStudy(app, browser);
    // The cards of notebooks show the icon of a kernel, not that of their command.
    const kernelIconUrl = `data:image/svg+xml,${encodeURIComponent(svg)}`;
    launcher?.add({ command: COMMAND, category: 'Notebook', rank: 100, kernelIconUrl });
    palette?.addItem({ command: COMMAND, category: 'Notebook Operations' });
  },
};

const errors = {
  id: 'beluga-nb:errors',
  description: 'Adds a button to each suggestion of an error of beluga_nb, which copies it.',
  autoStart: true,
  requires: [IRenderMimeRegistry],
  activate: (app, registry) => adornErrors(registry),
};

export default [colours, study, errors];

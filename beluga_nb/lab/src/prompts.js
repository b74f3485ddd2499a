/** Cells with prompts as CodeMirror reads them: the magic, its options, then prose. */

import { HighlightStyle, Language, StreamLanguage, language, syntaxHighlighting } from '@codemirror/language';
import { Prec } from '@codemirror/state';
import { Decoration, EditorView } from '@codemirror/view';
import { Parser, parseMixed } from '@lezer/common';
import { tags } from '@lezer/highlight';

/** Options that take no value; all others are followed by one. As in commands/table.py. */
const SWITCHES = /^--(raw|dry-run|yes|insist|quiet|debug|help|keep|all|stop)$/;

/** A command of a line, as in commands/table.py: with other words after it, the line is a prompt. */
const COMMAND =
  /^(status|models|sizes|config|alias|login|last|open|history|verify|weight|forget|pack|unpack|serve|panel|cheatsheet|help)(?=\s*$|\s+(-|\w+=|[a-f]*\d[\da-f-]{3,}\s*$|.+\.(ipynb|zip|png|jpe?g|webp)["']?\s*$))/;

const CELL = /^\s*(?=%%beluga(?!\S))/;
const LINE = /^((?:[^()#%\n]*[\w\]][ \t]*=)?[ \t]*)(%beluga(?!\S)(?:.*\\\n)*.*)/gm;
const PLACEHOLDER = /^\{\{\s*[\p{L}_][\p{L}\p{N}_]*\s*\}\}/u;
const QUOTED = /^(?:"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')/;

// --- tokens; each of these functions reads one, and sets the function that reads the next

const atStart = () => ({ read: magic, isCell: false, isRaw: false, isCommand: false, isComparison: false });

function token(stream, state) {
  if (stream.sol()) {
    if (state.isCell) {
      state.read = prose;
    } else if (stream.match(/^%beluga(?!\S)/, false)) {
      Object.assign(state, atStart());
    }
  }
  return state.read(stream, state);
}

function magic(stream, state) {
  if (stream.eatSpace()) {
    return null;
  }
  state.isCell = Boolean(stream.match('%%beluga'));
  if (!state.isCell) {
    stream.match('%beluga');
  }
  state.read = command;
  return 'keyword';
}

function command(stream, state) {
  if (stream.eatSpace()) {
    return null;
  }
  state.read = option;
  // On a line, other words make it a prompt: %beluga compare two foxes.
  state.isComparison = Boolean(stream.match(/^compare(?=\s+-|\s*$)/));
  state.isCommand = !state.isCell && Boolean(stream.match(COMMAND));
  return state.isComparison || state.isCommand ? 'keyword' : option(stream, state);
}

function option(stream, state) {
  if (stream.eatSpace()) {
    return null;
  }
  const flag = stream.match(/^-[^\s=]*/)?.[0];
  if (!flag) {
    state.read = state.isCommand ? restOfValue : prose;
    return state.read(stream, state);
  }
  state.isRaw ||= flag === '--raw';
  state.read = flag === '--' ? prose : SWITCHES.test(flag) ? option : value;
  return 'attributeName';
}

function value(stream, state) {
  if (stream.eatSpace() || stream.eat('=')) {
    return null;
  }
  state.read = restOfValue;
  return restOfValue(stream, state);
}

function restOfValue(stream, state) {
  if (stream.eatSpace()) {
    state.read = option;
    return null;
  }
  if (placeholder(stream, state)) {
    return PLACEHOLDER_STYLE;
  }
  if (!stream.match(QUOTED)) {
    stream.next();
    stream.match(/^[^\s"'{]+/);
  }
  return 'string';
}

function prose(stream, state) {
  if (stream.sol() && state.isComparison && stream.match(/^[ \t]*---[ \t]*$/)) {
    return 'operator';
  }
  if (placeholder(stream, state)) {
    return PLACEHOLDER_STYLE;
  }
  stream.next();
  stream.match(/^[^{]+/);
  return null;
}

const PLACEHOLDER_STYLE = 'variableName.special';

const placeholder = (stream, state) => !state.isRaw && stream.match(PLACEHOLDER);

const prompt = StreamLanguage.define({ name: 'beluga', startState: atStart, token });

/** The language of a cell that has no other: CodeMirror fails if the facet is there and empty. */
const plain = StreamLanguage.define({ token: stream => stream.skipToEnd() });

// --- prompts on lines of Python

/** Python in which `%beluga a fox` is a name to Python, and a prompt to the highlighter. */
class PythonWithPrompts extends Parser {
  constructor(python) {
    super();
    this.python = python;
  }

  createParse(input, fragments, ranges) {
    const text = input.read(0, input.length);
    const calls = [...text.matchAll(LINE)].map(({ 0: line, 1: before, index }) => ({
      from: index + before.length,
      to: Math.min(index + line.length + 1, text.length), // With its end: a gap between calls begins on a line.
    }));
    const masked = text.replace(LINE, (line, before, call) => before + '_' + call.slice(1).replace(/./g, ' '));
    // A cell is short enough to be parsed as a whole each time: no old fragments, which would lack the mask.
    const parse = this.python.startParse(masked, [], ranges);
    const nest = ({ type, node }) => {
      const overlay = type.isTop ? calls.filter(({ from }) => isStatement(node.resolve(from, 1))) : [];
      return overlay.length ? { parser: prompt.parser, overlay } : null;
    };
    return parseMixed(nest)(parse, input, [], ranges);
  }
}

/** Whether the name in place of a call stands as IPython needs it: not in a text, a comment or a bracket. */
const isStatement = ({ name, parent }) =>
  name === 'VariableName' && ['ExpressionStatement', 'AssignStatement'].includes(parent.name);

// --- the editor

/** Beside the colours of the editor's theme, which has one for each kind of token. */
const marked = HighlightStyle.define(
  [
    {
      tag: tags.special(tags.variableName),
      backgroundColor: 'color-mix(in srgb, currentColor 14%, transparent)',
      borderRadius: '2px',
    },
  ],
  { scope: prompt }
);

const PROSE = { class: 'cm-lineWrapping', spellcheck: 'true' };
const NO_SPELLING = Decoration.line({ attributes: { spellcheck: 'false' } });

/** Return what makes an editor show prompts as prose; `python` is the language of all other cells. */
export function prompts(python) {
  const lines = python && new Language(python.data, new PythonWithPrompts(python.parser), [], python.name);

  const languageOf = ({ doc }) => {
    const text = doc.toString();
    return CELL.test(text) ? [prompt] : lines && text.search(LINE) >= 0 ? [lines] : [];
  };
  const isCell = state => state.facet(language) === prompt;
  const optionLine = state => state.doc.lineAt(CELL.exec(state.doc.toString())[0].length).from;

  return [
    // The first language is the one in use; a cell without a prompt keeps its own.
    Prec.highest(language.computeN(['doc'], languageOf)),
    Prec.lowest(language.of(plain)),
    EditorView.contentAttributes.compute([language], state => (isCell(state) ? PROSE : {})),
    EditorView.decorations.compute([language, 'doc'], state =>
      isCell(state) ? Decoration.set(NO_SPELLING.range(optionLine(state))) : Decoration.none
    ),
    syntaxHighlighting(marked),
    EditorView.baseTheme({
      '&.cm-focused [data-language=beluga] .cm-nonmatchingBracket': { backgroundColor: 'transparent' },
    }),
  ];
}

/**
 * The scripts that shells load. Each hands the words that were typed to `postern --complete SHELL`, and shows what comes back: `:files`, or
 * a candidate a line, with a tab and a few words about it where the shell shows such.
 *
 * Sources: bash(1) "Programmable Completion"; zshcompsys(1), zshcompwid(1); fish's complete(1).
 */

export const SHELLS = ['bash', 'zsh', 'fish'] as const;
export type Shell = (typeof SHELLS)[number];

/** The first word of a call by one of the scripts. It is no command: nobody types it. */
export const COMPLETE = '--complete';
/** The answer when files are to be completed. */
export const FILES_LINE = ':files';

const BASH = String.raw`# Completion of postern for bash. In ~/.bashrc: source <(postern completion bash)
_postern_complete() {
  local line="${'${COMP_LINE:0:COMP_POINT}'}" answer word kept
  local -a words
  # Not COMP_WORDS: bash takes words apart at : and =, which stand in addresses.
  IFS=$' \t' read -ra words <<< "$line"
  [[ $line == *[[:blank:]] ]] && words+=("")
  (( ${'${#words[@]}'} > 1 )) || return 0
  word="${'${words[${#words[@]}-1]}'}"
  answer="$("${'${words[0]/#\\~/$HOME}'}" ${COMPLETE} bash "${'${words[@]:1}'}" 2>/dev/null)" || return 0
  COMPREPLY=()
  if [[ $answer == ${FILES_LINE} ]]; then
    compopt -o filenames 2>/dev/null
    while IFS= read -r line; do COMPREPLY+=("$line"); done < <(compgen -f -- "$word")
    return 0
  fi
  # What stands before the last break of bash's own words is there already.
  kept="${'${word%"${word##*[:=]}"}'}"
  while IFS= read -r line; do [[ -n $line ]] && COMPREPLY+=("${'${line#"$kept"}'}"); done <<< "$answer"
  return 0
}
complete -F _postern_complete postern
`;

const ZSH = String.raw`#compdef postern
# Completion of postern for zsh. In ~/.zshrc, behind compinit: source <(postern completion zsh); or as a file _postern in a directory of fpath.
_postern() {
  local answer line
  local -a values shown
  answer="$(${'${(Q)words[1]}'} ${COMPLETE} zsh "${'${(@Q)words[2,CURRENT-1]}'}" "${'${(Q)PREFIX}'}" 2>/dev/null)" || return 1
  if [[ $answer == ${FILES_LINE} ]]; then
    _files
    return
  fi
  for line in "${'${(@f)answer}'}"; do
    [[ -n $line ]] || continue
    values+=("${"${line%%$'\\t'*}"}")
    shown+=("${"${line/$'\\t'/  -- }"}")
  done
  compadd -l -d shown -a values
}
if [[ $funcstack[1] == _postern ]]; then
  _postern "$@"
else
  compdef _postern postern
fi
`;

const FISH = String.raw`# Completion of postern for fish. In ~/.config/fish/completions/postern.fish: postern completion fish | source
function __postern_complete
    set -l words (commandline -opc)
    set -l answer ($words[1] ${COMPLETE} fish $words[2..] (commandline -ct) 2>/dev/null)
    if test "$answer[1]" = ${FILES_LINE}
        __fish_complete_path (commandline -ct)
        return
    end
    printf '%s\n' $answer
end
complete -c postern -f -a '(__postern_complete)'
`;

export const SCRIPTS: Readonly<Record<Shell, string>> = { bash: BASH, zsh: ZSH, fish: FISH };

"""``guestmap completion``: what a shell needs to complete guestmap's words at a TAB."""

from __future__ import annotations

import os

import click
from click.shell_completion import (
    BashComplete,
    FishComplete,
    ShellComplete,
    ZshComplete,
    add_completion_class,
    split_arg_string,
)

from planner.cli.exits import Command
from planner.cli.output import print_document

__all__ = ["VARIABLE", "command"]

#: The variable click asks in; by its rule the program's name in capitals.
VARIABLE = "_GUESTMAP_COMPLETE"

_BASH = """\
%(complete_func)s() {
    local IFS=$'\\n' line=${COMP_LINE:0:COMP_POINT} cur ends='[=]' response type value
    # The whole line goes out: bash would cut PCI addresses and unix:PATH at the colons.
    response=$(COMP_WORDS=$line %(complete_var)s=bash_complete "$1")
    # What comes back is put in place of what follows the last colon or equals sign.
    cur=${line##*[[:space:]]}
    [[ $cur == --*=* ]] && cur=${cur#*=}
    [[ $COMP_WORDBREAKS == *:* ]] && ends='[:=]'
    cur=${cur%%"${cur##*$ends}"}
    COMPREPLY=()
    for completion in $response; do
        IFS=',' read -r type value <<<"$completion"
        case $type in
        dir) compopt -o dirnames ;;
        file) compopt -o default ;;
        plain)
            COMPREPLY+=("${value#"$cur"}")
            case $value in *[=,:/]) compopt -o nospace ;; esac
            ;;
        esac
    done
}

complete -o nosort -F %(complete_func)s %(prog_name)s
"""


class _Bash(BashComplete):
    """Completion for bash that takes colons for what they are here."""

    source_template = _BASH

    def get_completion_args(self) -> tuple[list[str], str]:
        """Return the words before the cursor, and the one it is in."""
        line = os.environ["COMP_WORDS"]
        words = split_arg_string(line)[1:]
        if not words or line[-1:].isspace():
            return words, ""
        return words[:-1], words[-1]


add_completion_class(_Bash)
_SHELLS: dict[str, type[ShellComplete]] = {"bash": _Bash, "zsh": ZshComplete, "fish": FishComplete}


@click.command("completion", cls=Command)
@click.argument("shell", type=click.Choice(list(_SHELLS)))
@click.pass_context
def command(ctx: click.Context, shell: str) -> None:
    """Print a shell's completion script.

    It completes commands, options, files, PCI addresses of this host, monitor sockets and findings.

    \b
    Example:
      guestmap completion bash > ~/.local/share/bash-completion/completions/guestmap
      guestmap completion zsh > ~/.zfunc/_guestmap
      guestmap completion fish > ~/.config/fish/completions/guestmap.fish
    """
    script = _SHELLS[shell](ctx.find_root().command, {}, "guestmap", VARIABLE)
    # ShellComplete's own: BashComplete.source() runs a bash only to learn its version.
    print_document(ShellComplete.source(script))

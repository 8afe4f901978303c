# bash completion for realm and git realm
#
# As "realm" in bash-completion's directory it serves realm, as "git-realm"
# git realm too.  What is offered comes from realm itself; it is never evaluated.

# Complete the words of realm's command line in "$@", the last one being typed.
_realm_fill()
{
    local line value current="${!#}"
    COMPREPLY=()
    while IFS= read -r line; do
        case $line in
            :files)
                compopt -o filenames 2>/dev/null
                while IFS= read -r value; do COMPREPLY+=("$value"); done < <(compgen -f -- "$current")
                ;;
            :directories)
                compopt -o filenames 2>/dev/null
                while IFS= read -r value; do COMPREPLY+=("$value"); done < <(compgen -d -- "$current")
                ;;
            *)
                value=${line%%$'\t'*}
                # readline takes "--base" and "main" in "--base=main" as words of their own
                [[ $current == --*=* ]] && value=${value#*=}
                COMPREPLY+=("$value")
                ;;
        esac
    done < <(command realm _complete "$@" 2>/dev/null)
}

# Put together what readline took apart at "=", then complete.
_realm_words()
{
    local word
    local -a joined=()
    for word in "$@"; do
        if [[ ${#joined[@]} -gt 0 && ( $word == = || ${joined[${#joined[@]}-1]} == --*= ) ]]; then
            joined[${#joined[@]}-1]+=$word
        else
            joined+=("$word")
        fi
    done
    _realm_fill "${joined[@]}"
}

_realm()
{
    _realm_words "${COMP_WORDS[@]:1:COMP_CWORD}"
}

# Called by git's own completion for "git realm …".
_git_realm()
{
    local place=1
    compopt +o nospace 2>/dev/null # git adds its own spaces
    while [[ $place -lt $COMP_CWORD && ${COMP_WORDS[place]} != realm ]]; do
        ((place++))
    done
    _realm_words "${COMP_WORDS[@]:place+1:COMP_CWORD-place}"
}

complete -F _realm realm git-realm

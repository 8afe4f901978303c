#compdef realm git-realm
#description run Claude Code in a throw-away container
#
# As "_realm" in a directory of fpath it serves realm, as "_git-realm" git realm too.

_realm_complete()
{
    local line value directive result=1
    local -a described
    for line in "${(@f)$(command realm _complete "${(@Q)words[2,CURRENT]}" 2>/dev/null)}"; do
        case $line in
            '') ;;
            :*) directive=$line ;;
            *$'\t'*) described+=("${${line%%$'\t'*}//:/\\:}:${line#*$'\t'}") ;;
            *) described+=("${line//:/\\:}") ;;
        esac
    done
    (( $#described )) && _describe -V realm described && result=0
    case $directive in
        :files) _files && result=0 ;;
        :directories) _files -/ && result=0 ;;
    esac
    return result
}

if [[ $funcstack[1] == (_realm|_git-realm) ]]; then
    _realm_complete "$@"
else
    compdef _realm_complete realm git-realm
fi

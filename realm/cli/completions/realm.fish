# fish completion for realm and git realm

function __realm_complete
    set -l words (commandline -opc)
    set -l current (commandline -ct)
    for line in (command realm _complete $words[2..-1] "$current" 2>/dev/null)
        switch $line
            case ':files'
                __fish_complete_path "$current"
            case ':directories'
                __fish_complete_directories "$current" ''
            case '*'
                echo $line
        end
    end
end

complete -c realm -f -a '(__realm_complete)'
complete -c git-realm -f -a '(__realm_complete)'

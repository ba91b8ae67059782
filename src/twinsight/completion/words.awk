# What may follow the words typed so far. Arguments: the words after "twinsight", the last of them unfinished.
# Input: the table of twinsight.completion.script, one candidate or option per line:
#   COMMAND, FLAG or NAME, SKIP (choices without this flag), COUNT (values that it takes), VALUES, HELP.
# Output: CANDIDATE and HELP; @path, @py and @yaml stand for files, which the shell lists itself.

function offer(values, help,    parts, n, i, base, separators) {
    n = split(values, parts, " ")
    base = ""
    for (i = 1; i <= n; i++) {
        if (parts[i] ~ /^[,+]$/) {  # a list in one word: complete its last part
            base = cur
            separators = parts[i] == "," ? "[^,]*$" : "[^+*]*$"
            sub(separators, "", base)
        } else if (parts[i] ~ /^@/)
            print parts[i] "\t"
        else if (index(base parts[i], cur) == 1)
            print prefix base parts[i] "\t" help
    }
}

BEGIN {
    FS = "\t"
    last = ARGC - 1
    cur = ARGV[last]
    first = 1
    command = ""
    if (last > 1) {
        command = group = ARGV[first++]
        if ((command == "look" || command == "data") && last > 2)
            command = command " " ARGV[first++]
    }
    flag = ""
    for (i = first; i < last; i++)
        if (ARGV[i] ~ /^--/) {
            flag = ARGV[i]
            given = 0
            if (i + 1 < last) chosen[flag] = ARGV[i + 1]
            if (sub(/=.*/, "", flag)) {
                chosen[flag] = substr(ARGV[i], length(flag) + 2)
                flag = ""
            }
        } else
            given++
    if (cur ~ /^--[^=]*=/) {
        flag = prefix = cur
        sub(/=.*/, "", flag)
        prefix = flag "="
        cur = substr(cur, length(prefix) + 1)
        given = 0
    }
    while ((getline < "-") > 0)
        if ($1 == command || $1 == group " *") {
            name[++n] = $2; skip[n] = $3; values[n] = $5; help[n] = $6
            if ($2 == flag) { takes = $4; wanted = $5 }
        }
    if (flag != "" && (given < takes || takes == "*") && (prefix != "" || cur !~ /^-/)) {
        offer(wanted, "")
        exit
    }
    for (i = 1; i <= n; i++) {
        split(skip[i], only, ":")
        if (only[1] in chosen && index("," only[2] ",", "," chosen[only[1]] ",")) continue
        if (name[i] == "") { if (cur !~ /^-/) offer(values[i], help[i]) }
        else if (name[i] !~ /^-/ || cur ~ /^-/) offer(name[i], help[i])
    }
}

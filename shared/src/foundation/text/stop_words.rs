//! Stop words and common words of French and English, with their weights. The lists were made by hand.

use crate::text::Language;
use std::collections::HashMap;
use std::sync::LazyLock;

/// Weight of common words, which occur in texts about any subject.
const COMMON_WORD_WEIGHT: f32 = 0.55;

/// French stop words, with accents folded.
const FRENCH_STOP_WORDS: &str = "
    a afin ai ainsi alors an apres as au aucun aucune aura auront aussi autre autres aux avaient
    avais avait avant avec avez avoir avons ayant c ca car ce ceci cela celle celles celui cent ces
    cet cette ceux chaque chez ci comme comment d dans de depuis des deux doit doivent donc dont du
    elle elles en encore entre es est et etaient etais etait etant ete etes etre eu eut eux faire
    fait faut fois font furent fut ici il ils j je jusqu jusque l la laquelle le lequel les
    lesquelles lesquels leur leurs lors lorsqu lorsque lui m ma mais me meme memes mes moi moins
    mon n ne ni nos notre nous on ont or ou oui par parce pas pendant peu peut peuvent peux plus
    pour pourquoi pouvez puis puisque qu quand que quel quelle quelles quelqu quelque quelques
    quels qui quoi s sa sans se selon sera serait seront ses si sinon soient soit son sont sous
    suis sur t ta tandis te tel telle telles tels tes toi ton tous tout toute toutes tres trop tu
    un une vers voici voila vos votre vous vu y";

/// French words that occur in texts about any subject, with accents folded.
const FRENCH_COMMON_WORDS: &str = "
    abord aime ailleurs air aller alle ami amis annee annees ans appele appelee appelle appelait
    arrive article assez aujourd avoue bas base bas beau beaucoup besoin bien bon bonjour bonne but
    cadre cas cause celebre centre certain certaine certaines certains chef chose choses combien
    commence compte connu connue contre corps cote cours creation cree creer d debut demande demander
    dernier derniere derniers devant devenir devenu devient dire dit dix doute droit effet enfants
    enfin ensemble ensuite environ epoque existe exemple face facon famille femme femmes fin fils
    fille fond force forme france francais francaise francaises gens grand grande grandes grands
    groupe haut heure heures histoire homme hommes hui idee il important importante jamais jeune
    jour jours lieu ligne loin long longtemps main maintenant mal maniere mettre mieux mis milieu
    mise moment monde mois mort mot moyen nature nom nombre nombreuses nombreux nouveau nouveaux
    nouvelle nouvelles objet occupe ouvert part partie parti partir partout passe pays pense periode
    permet personne personnes petit petite petits peuple place plupart plusieurs point porte position
    possible possede premier premiere premieres premiers prend prendre pres presque pris principal
    principale probleme proche propre puissance question quatre raison rapport reste resultat rien
    role route sait savoir second seconde semaine sens sept serie service seul seule seulement siecle
    situe situee situation six soir sorte suite suivant sujet surtout systeme table tant tard temps
    terme terre tete tiers titre toujours tour train travail trois trouve trouver tu type utilise
    utilisee valeur venir vers veut vie vient vieux ville vingt voie voir voit vrai vue";

/// English stop words.
const ENGLISH_STOP_WORDS: &str = "
    a about above after again against all also although am among an and another any are around as
    at be became because become been before being below between both but by can cannot could d did
    do does doing don done down during each either else ever every few for from further get had
    has have having he her here hers herself him himself his how however i if in into is it its
    itself just ll m may me might mine more most much must my myself neither no nor not now of off
    often on once one only onto or other others our ours out over own per rather re s same shall
    she should since so some such t than that the their theirs them themselves then there these
    they this those though through thus to too toward towards two under until up upon us ve very
    was we were what when where whether which while who whom whose why will with within without
    would yet you your yours";

/// English words that occur in texts about any subject.
const ENGLISH_COMMON_WORDS: &str = "
    able according across added age ago almost along already always amount area areas away back
    based began begin best better big body book both bring built called came case cause caused
    central century certain change changed city close come comes common company completed contain
    control countries country course create created current day days death different difficult due
    early eight end ended established even event example fact family far feel find first five form
    formed found four full gave general given gives go going good got great group groups half hand
    happened help high higher him history hold home hour hours house important include included
    includes including increase instead involved job keep kept kind kinds knew know known land
    large larger largest last late later law lead least leave led left less let level life light
    like likely line list little live lived local located long longer look lost lot low made main
    major make makes making man many means member members men money month months move mr name named
    names nation national near need needed never new next nine nothing number numbers old open
    order original part parts past people percent perhaps period person place places play played
    point popular position possible power present primary problem process provide provided public
    put question quite range real really reason received refer referred related remain result
    right role run said saw say says second see seen service set seven several show shown side
    similar single six small something sometimes special start started state states still stop
    system take taken ten term terms thing things think third three throughout time times today
    together told took top total true try turn type types use used uses using usually various want
    way ways week weeks well went whole work world year years yes young";

static FRENCH_WEIGHTS: LazyLock<HashMap<&str, f32>> = LazyLock::new(|| weights(FRENCH_COMMON_WORDS, FRENCH_STOP_WORDS));
static ENGLISH_WEIGHTS: LazyLock<HashMap<&str, f32>> =
    LazyLock::new(|| weights(ENGLISH_COMMON_WORDS, ENGLISH_STOP_WORDS));

/// Returns the weight of a folded word in a text of that language: 0 for a stop word, 1 for a word in no list.
pub(crate) fn weight(word: &str, language: Language) -> f32 {
    let known = match language {
        Language::French => FRENCH_WEIGHTS.get(word),
        Language::English => ENGLISH_WEIGHTS.get(word),
        Language::Other => None,
    };
    known.copied().unwrap_or(1.0)
}

fn weights(common: &'static str, function: &'static str) -> HashMap<&'static str, f32> {
    let common = common.split_whitespace().map(|word| (word, COMMON_WORD_WEIGHT));
    common.chain(function.split_whitespace().map(|word| (word, 0.0))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weight_depends_on_the_language() {
        assert_eq!(weight("car", Language::French), 0.0);
        assert_eq!(weight("car", Language::English), 1.0);
        assert_eq!(weight("annee", Language::French), COMMON_WORD_WEIGHT);
        assert_eq!(weight("annee", Language::Other), 1.0);
    }

    #[test]
    fn listed_words_are_folded() {
        for word in FRENCH_WEIGHTS.keys().chain(ENGLISH_WEIGHTS.keys()) {
            assert_eq!(crate::text::fold(word), *word);
        }
    }
}
